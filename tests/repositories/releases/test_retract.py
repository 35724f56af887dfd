"""A release whose tag is deleted, by whatever door, is a draft again, and another is the latest."""

from sqlalchemy import select
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.releases.support import RELEASES, create, tags

from cairn.audit.models import AuditEntry
from cairn.repositories.queries import RepositoryView

Place = tuple[RepositoryView, StockRepository]


async def test_deleting_a_release_keeps_its_tag_and_deleting_the_tag_makes_a_draft(forge: Forge, place: Place) -> None:
    repository, _ = place
    ada = forge.api(forge.people["ada"])
    first = await create(forge, tag_name="v1.0")
    assert (await ada.call("DELETE", f"{RELEASES}/{first['id']}")).status_code == 204
    assert "refs/tags/v1.0" in await tags(forge, repository)
    again = await create(forge, tag_name="v1.0", name="Again")
    await forge.land_deletion(forge.people["ada"], repository, b"refs/tags/v1.0")
    assert (await forge.api().get(f"{RELEASES}/tags/v1.0")).status_code == 404
    kept = (await ada.get(f"{RELEASES}/{again['id']}")).json()
    assert (kept["draft"], kept["name"], kept["published_at"]) == (True, "Again", None)
    assert (await forge.api().get(f"{RELEASES}/latest")).status_code == 404


async def test_the_one_before_becomes_the_latest_and_it_is_written_down(forge: Forge, place: Place) -> None:
    one, two = await create(forge, tag_name="v1.0"), await create(forge, tag_name="v2.0")
    assert (await forge.api().get(f"{RELEASES}/latest")).json()["id"] == two["id"]
    ada = forge.api(forge.people["ada"])
    assert (await ada.call("DELETE", "/repos/ada/engine/git/refs/tags/v2.0")).status_code == 204
    assert (await forge.api().get(f"{RELEASES}/latest")).json()["id"] == one["id"]
    async with forge.database.read() as session:
        entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "release.retract")))
    assert [entry.actor_id for entry in entries] == [forge.people["ada"].account.id]


async def test_a_branch_of_the_same_name_takes_nothing_with_it(forge: Forge, place: Place) -> None:
    repository, _ = place
    await forge.commit(forge.people["ada"], repository, {"a": b"a"}, branch=b"refs/heads/v1.0")
    await create(forge, tag_name="v1.0")
    await forge.land_deletion(forge.people["ada"], repository, b"refs/heads/v1.0")
    assert (await forge.api().get(f"{RELEASES}/tags/v1.0")).status_code == 200
