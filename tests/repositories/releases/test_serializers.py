"""Releases and their files as GitHub writes them, with addresses that lead somewhere."""

from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import update
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.releases.support import CONTENT, RELEASES, create, tags, upload
from tests.web.support import ORIGIN

from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.models import Release, ReleaseAsset

Place = tuple[RepositoryView, StockRepository]


async def test_a_release_under_a_tag_that_is_there_keeps_the_tag(forge: Forge, place: Place) -> None:
    repository, stock = place
    made = await create(forge, tag_name="v1.0", name="The first", body="It *runs*.")
    assert made["tag_name"] == "v1.0"
    assert (made["draft"], made["prerelease"], made["name"], made["body"]) == (False, False, "The first", "It *runs*.")
    assert made["html_url"] == f"{ORIGIN}/ada/engine/releases/tag/v1.0"
    assert made["upload_url"] == f"{ORIGIN}/api/uploads/repos/ada/engine/releases/{made['id']}/assets{{?name,label}}"
    assert made["zipball_url"] == f"{ORIGIN}/api/v3/repos/ada/engine/zipball/refs/tags/v1.0"
    assert made["author"]["login"] == "ada"
    assert await tags(forge, repository) == {"refs/tags/v1.0": stock.oid("v1.0^{tag}")}


async def test_every_address_of_a_tag_with_a_slash_leads_somewhere(forge: Forge, place: Place) -> None:
    made = await create(forge, tag_name="mill/v1-é")
    asset = (await upload(forge, made, "a b.bin")).json()
    client = forge.running.client(authorization=f"Bearer {forge.people['ada'].token}")
    for address, status in (
        (made["url"], 200),
        (made["assets_url"], 200),
        (made["html_url"], 200),
        (made["zipball_url"], 302),
        (made["tarball_url"], 302),
        (asset["url"], 200),
        (asset["browser_download_url"], 200),
    ):
        assert address.startswith(ORIGIN)
        assert (await client.get(urlsplit(address).path)).status_code == status, address
    assert (await client.get(urlsplit(asset["browser_download_url"]).path)).content == CONTENT


async def test_a_draft_has_no_archives_and_the_address_of_its_number(forge: Forge, place: Place) -> None:
    draft = await create(forge, tag_name="v9.0", draft=True)
    assert (draft["zipball_url"], draft["tarball_url"], draft["published_at"]) == (None, None, None)
    assert draft["html_url"] == f"{ORIGIN}/ada/engine/releases/{draft['id']}"


async def test_what_a_deleted_account_made_is_a_ghosts(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    await upload(forge, released[1], "a.bin")
    async with forge.database.write() as session:
        await session.execute(update(Release).values(author_id=None))
        await session.execute(update(ReleaseAsset).values(uploader_id=None))
    shown = (await forge.api().get(f"{RELEASES}/{released[1]['id']}")).json()
    assert shown["author"]["login"] == shown["assets"][0]["uploader"]["login"] == "ghost"
