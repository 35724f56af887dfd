"""Receiving files: names, bounds, and nothing left of what did not land."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.factories.forge import Forge, open_forge
from tests.factories.passing_time import let_pass
from tests.repositories.releases.support import RELEASES, stored_keys, upload

from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.assets import (
    AssetInvalid,
    NewAsset,
    UploadTooLate,
    clean_name,
    clean_type,
    receive_asset,
)
from cairn.repositories.releases.files import delete_files

Released = tuple[RepositoryView, Any]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("tool-1.0.tar.gz", "tool-1.0.tar.gz"),
        ("my tool.zip", "my.tool.zip"),
        ("../../etc/passwd", "passwd"),
        ("C:\\tools\\mill.exe", "mill.exe"),
        ("a\nb\0c", "a.b.c"),
        (".hidden", "hidden"),
        ("x" * 400, "x" * 255),
    ],
    ids=["plain", "space", "path", "windows", "control", "dot", "long"],
)
def test_a_name_is_kept_without_what_could_be_a_path(name: str, kept: str) -> None:
    assert clean_name(name) == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Text/HTML; charset=utf-8", "text/html"),
        ("", "application/octet-stream"),
        ("text/html\r\nx: y", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
    ],
    ids=["parameters", "none", "lines", "nonsense"],
)
def test_a_type_is_kept_only_if_it_is_one(sent: str, kept: str) -> None:
    assert clean_type(sent) == kept


@pytest.mark.parametrize(
    ("name", "code"), [("", "missing_field"), ("a.bin", "already_exists"), ("..", "missing_field")]
)
async def test_a_name_that_cannot_be_is_refused(
    forge: Forge, released: tuple[RepositoryView, Any], name: str, code: str
) -> None:
    assert (await upload(forge, released[1], "a.bin")).status_code == 201
    refused = await upload(forge, released[1], name)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == code


async def test_a_name_never_becomes_a_path(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    sent = await upload(forge, released[1], "../../etc/passwd")
    assert sent.json()["name"] == "passwd"


async def test_what_is_too_large_is_refused_and_leaves_nothing(
    forge: Forge, released: tuple[RepositoryView, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(forge.engine.settings), "max_release_asset_bytes", 1000, raising=False)
    refused = await upload(forge, released[1], "a.bin")
    assert refused.status_code == 413
    assert "CAIRN_MAX_RELEASE_ASSET_BYTES" in refused.text
    assert [found async for found in forge.engine.storage.list("releases")] == []


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        ({"max_release_assets": 1}, 422, "CAIRN_MAX_RELEASE_ASSETS"),
        ({"max_release_repository_bytes": 150}, 413, "CAIRN_MAX_RELEASE_REPOSITORY_BYTES"),
    ],
    ids=["files", "bytes together"],
)
async def test_files_are_bounded_in_number_and_together(
    tmp_path: Path, sqlite_template: Path, settings: dict[str, int], status: int, said: str
) -> None:
    async with open_forge(tmp_path / "bounded", sqlite_template, settings=settings) as forge:
        ada = await forge.person("ada")
        await forge.repository(ada, "engine", files={"a": b"a"})
        release = (await forge.api(ada).call("POST", RELEASES, json={"tag_name": "v1"})).json()
        assert (await upload(forge, release, "a.bin", b"x" * 100)).status_code == 201
        refused = await upload(forge, release, "b.bin", b"x" * 100)
        assert refused.status_code == status
        assert said in refused.text
        assert len(await stored_keys(forge)) == 1


async def test_fewer_bytes_than_announced_are_no_file(forge: Forge, released: Released) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"

    repository, release = released
    new = NewAsset(name="a.bin", size=8)
    with pytest.raises(AssetInvalid) as refused:
        await receive_asset(forge.engine, forge.people["ada"].actor, repository, release["id"], new, half())
    assert "4 bytes came where 8" in refused.value.problems[0].message
    assert await stored_keys(forge) == []
    # Given up at once: its announcement does not wait for a day.
    assert (await delete_files(forge.database, forge.engine.storage)).packs == 1


async def test_an_upload_that_outlived_its_announcement_does_not_land(forge: Forge, released: Released) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"be"
        await let_pass(forge.database, timedelta(days=2))
        await delete_files(forge.database, forge.engine.storage)
        yield b"gun"

    repository, release = released
    with pytest.raises(UploadTooLate):
        await receive_asset(
            forge.engine, forge.people["ada"].actor, repository, release["id"], NewAsset(name="a.bin"), slow()
        )
    assert (await forge.api().get(f"{RELEASES}/{release['id']}")).json()["assets"] == []
    await let_pass(forge.database, timedelta(days=2))
    await delete_files(forge.database, forge.engine.storage)
    assert await stored_keys(forge) == []


async def test_an_empty_file_is_one(forge: Forge, released: Released) -> None:
    asset = (await upload(forge, released[1], "empty", b"")).json()
    assert (asset["size"], asset["digest"]) == (0, f"sha256:{hashlib.sha256(b'').hexdigest()}")
