"""Who takes a file is counted a little later; the bytes come from here or from an address the store signed."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories.forge import Forge, open_forge
from tests.repositories.releases.support import CONTENT, OCTETS, RELEASES, upload

from cairn.base.errors import Unavailable
from cairn.db.database import Database
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.downloads import flush_downloads


async def test_downloads_are_counted_a_little_later(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    asset = (await upload(forge, released[1], "a.bin")).json()
    address = f"{RELEASES}/assets/{asset['id']}"
    for _ in range(3):
        await forge.api().get(address, headers=OCTETS)
    await forge.api().get(address, headers={**OCTETS, "range": "bytes=5-9"})
    assert (await forge.api().get(address)).json()["download_count"] == 0
    await flush_downloads(forge.database, forge.running.app.site.tally)
    assert (await forge.api().get(address)).json()["download_count"] == 3


async def test_a_page_counts_as_the_api_does_and_head_does_not(
    forge: Forge, released: tuple[RepositoryView, Any]
) -> None:
    asset = (await upload(forge, released[1], "a.bin")).json()
    address = "/ada/engine/releases/download/v1.0/a.bin"
    assert (await forge.browser().client.head(address)).headers["content-length"] == str(len(CONTENT))
    assert (await forge.browser().get(address)).content == CONTENT
    await flush_downloads(forge.database, forge.running.app.site.tally)
    assert (await forge.api().get(f"{RELEASES}/assets/{asset['id']}")).json()["download_count"] == 1


async def test_counts_that_cannot_be_written_stop_nothing(
    forge: Forge, released: tuple[RepositoryView, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(forge, released[1], "a.bin")
    await forge.browser().get("/ada/engine/releases/download/v1.0/a.bin")

    def refuse(database: Database) -> None:
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", refuse)
        await flush_downloads(forge.database, forge.running.app.site.tally)
    assert (await forge.browser().get("/ada/engine/releases/download/v1.0/a.bin")).content == CONTENT


async def test_over_s3_a_file_comes_from_an_address_that_lives_five_minutes(
    tmp_path: Path, sqlite_template: Path, moto_url: str
) -> None:
    settings = {"storage_url": moto_url, "downloads": "direct"}
    async with open_forge(tmp_path / "direct", sqlite_template, settings=settings) as forge:
        ada = await forge.person("ada")
        await forge.repository(ada, "engine", files={"a": b"a"})
        release = (await forge.api(ada).call("POST", RELEASES, json={"tag_name": "v1.0"})).json()
        await upload(forge, release, "tool.html")
        led = await forge.browser().get("/ada/engine/releases/download/v1.0/tool.html")
        assert (led.status_code, led.headers["cache-control"]) == (302, "no-store")
        assert "X-Amz-Expires=300" in led.headers["location"]
        async with httpx2.AsyncClient() as client:
            had = await client.get(led.headers["location"])
        assert had.content == CONTENT
        assert had.headers["content-type"] == "application/octet-stream"
        assert had.headers["content-disposition"].startswith('attachment; filename="tool.html"')
