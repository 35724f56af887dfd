"""Releases over REST: made, published, found, changed and listed; what a reader never sees."""

from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.releases.support import RELEASES, create, tags

from cairn.access.roles import Role
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases import api, releases


async def test_a_draft_makes_no_tag_and_only_who_may_push_sees_it(
    forge: Forge, place: tuple[RepositoryView, StockRepository]
) -> None:
    repository, _ = place
    writer, reader = await forge.person("wren"), await forge.person("rita")
    await forge.grant(repository, writer, Role.WRITE)
    await forge.grant(repository, reader, Role.READ)
    draft = await create(forge, tag_name="v9.0", draft=True)
    assert draft["published_at"] is None
    assert set(await tags(forge, repository)) == {"refs/tags/v1.0"}
    assert (await forge.api(writer).get(f"{RELEASES}/{draft['id']}")).status_code == 200
    assert len((await forge.api(writer).get(RELEASES)).json()) == 1
    for person in (reader, None):
        api = forge.api(person)
        assert (await api.get(f"{RELEASES}/{draft['id']}")).status_code == 404
        assert (await api.get(RELEASES)).json() == []
        assert (await api.get(f"{RELEASES}/tags/v9.0")).status_code == 404
        assert (await api.get(f"{RELEASES}/latest")).status_code == 404
    for person, status in ((reader, 403), (None, 401)):
        api = forge.api(person)
        assert (await api.call("POST", RELEASES, json={"tag_name": "v3"})).status_code == status
        assert (await api.call("PATCH", f"{RELEASES}/{draft['id']}", json={"name": "x"})).status_code == status
        assert (await api.call("DELETE", f"{RELEASES}/{draft['id']}")).status_code == status


async def test_a_draft_is_published_by_an_edit(forge: Forge, place: tuple[RepositoryView, StockRepository]) -> None:
    draft = await create(forge, tag_name="v9.0", draft=True, body="notes")
    ada = forge.api(forge.people["ada"])
    published = await ada.call("PATCH", f"{RELEASES}/{draft['id']}", json={"draft": False, "name": "Nine"})
    assert published.status_code == 200
    assert (published.json()["draft"], published.json()["name"], published.json()["body"]) == (False, "Nine", "notes")
    assert "refs/tags/v9.0" in await tags(forge, place[0])
    assert (await forge.api().get(f"{RELEASES}/latest")).json()["id"] == draft["id"]
    assert (await forge.api().client.head(f"/api/v3{RELEASES}/tags/v9.0")).status_code == 200


async def test_lists_are_paged_newest_first(forge: Forge, place: tuple[RepositoryView, StockRepository]) -> None:
    for number in range(3):
        await create(forge, tag_name=f"v1.{number}")
    first = await forge.api().get(f"{RELEASES}?per_page=2")
    assert [each["tag_name"] for each in first.json()] == ["v1.2", "v1.1"]
    assert 'rel="next"' in first.headers["link"]


async def test_two_edits_at_once_lose_nothing_of_each_other(
    forge: Forge, place: tuple[RepositoryView, StockRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second edit comes after the first has read the release and before it writes."""
    made = await create(forge, tag_name="v1.0", name="One", body="First.")
    client, path, update = forge.api(forge.people["ada"]), f"{RELEASES}/{made['id']}", releases.update_release
    others = [{"body": "Second."}]

    async def later(*arguments: Any) -> None:
        if others:
            body = others.pop()
            assert (await client.call("PATCH", path, json=body)).status_code == 200
        await update(*arguments)

    monkeypatch.setattr(api, "update_release", later)
    edited = (await client.call("PATCH", path, json={"name": "Two"})).json()
    assert (edited["name"], edited["body"]) == ("Two", "Second.")


async def test_a_draft_with_a_tag_that_no_table_holds_is_refused(
    forge: Forge, place: tuple[RepositoryView, StockRepository]
) -> None:
    refused = await create(forge, status=422, tag_name="\U0001f600" * 255, draft=True)
    assert refused["errors"][0]["field"] == "tag_name"
