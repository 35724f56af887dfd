"""Publishing makes tags by the rules of a push; one tag has one release; what is refused changes nothing."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.releases.support import RELEASES, create, tags

from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases import releases

Place = tuple[RepositoryView, StockRepository]


async def test_publishing_makes_the_tag_where_it_is_missing(forge: Forge, place: Place) -> None:
    repository, stock = place
    await create(forge, tag_name="v2.0")
    await create(forge, tag_name="v1.1", target_commitish="stable")
    await create(forge, tag_name="v1.2", target_commitish=stock.oid("stable"))
    found = await tags(forge, repository)
    assert found["refs/tags/v2.0"] == stock.oid("main")
    assert found["refs/tags/v1.1"] == found["refs/tags/v1.2"] == stock.oid("stable")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"tag_name": ""}, "tag_name", "missing_field"),
        ({"tag_name": "v3", "target_commitish": "none"}, "target_commitish", "invalid"),
        ({"tag_name": "v1.0"}, "tag_name", "already_exists"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_field(
    forge: Forge, place: Place, body: dict[str, Any], field: str, code: str
) -> None:
    await create(forge, tag_name="v1.0")
    before = await tags(forge, place[0])
    refused = await create(forge, status=422, **body)
    (problem,) = refused["errors"]
    assert (problem["resource"], problem["field"], problem["code"]) == ("Release", field, code)
    assert await tags(forge, place[0]) == before


@pytest.mark.parametrize("is_edit", [False, True], ids=["new", "edit"])
async def test_a_tag_that_is_deleted_at_the_last_moment_leaves_no_release_without_it(
    forge: Forge, place: Place, monkeypatch: pytest.MonkeyPatch, *, is_edit: bool
) -> None:
    ada = forge.api(forge.people["ada"])
    draft = await create(forge, tag_name="v7.0", draft=True, body="kept")
    ensure_tag = releases.ensure_tag

    async def ensure_and_lose(*args: Any) -> datetime:
        made = await ensure_tag(*args)
        assert (await ada.call("DELETE", "/repos/ada/engine/git/refs/tags/v7.0")).status_code == 204
        return made

    with monkeypatch.context() as patched:
        patched.setattr(releases, "ensure_tag", ensure_and_lose)
        if is_edit:
            refused = await ada.call("PATCH", f"{RELEASES}/{draft['id']}", json={"draft": False})
        else:
            refused = await ada.call("POST", RELEASES, json={"tag_name": "v7.0"})
    assert (refused.status_code, "deleted the tag 'v7.0'" in refused.json()["message"]) == (409, True)
    assert (await forge.api().get(RELEASES)).json() == []
    published = await ada.call("PATCH", f"{RELEASES}/{draft['id']}", json={"draft": False})
    assert (published.status_code, published.json()["body"]) == (200, "kept")
    assert "refs/tags/v7.0" in await tags(forge, place[0])


@pytest.mark.parametrize("tag", ["-x", "a..b", "a b", "refs/../x", "x.lock"])
async def test_a_name_that_no_tag_can_have_is_refused(forge: Forge, place: Place, tag: str) -> None:
    assert "is not a valid ref name" in (await create(forge, status=422, tag_name=tag))["message"]
    assert set(await tags(forge, place[0])) == {"refs/tags/v1.0"}


async def test_of_two_who_publish_one_tag_one_is_told(forge: Forge, place: Place) -> None:
    ada = forge.api(forge.people["ada"])
    answers = await asyncio.gather(
        *(ada.call("POST", RELEASES, json={"tag_name": "v5.0", "name": name}) for name in ("one", "two"))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422]
    refused = next(answer for answer in answers if answer.status_code == 422)
    assert refused.json()["errors"][0]["code"] == "already_exists"
    assert len((await forge.api().get(RELEASES)).json()) == 1


async def test_a_tag_that_a_rule_refuses_publishes_nothing(forge: Forge, place: Place) -> None:
    ada = forge.api(forge.people["ada"])
    rule = {
        "name": "no tags",
        "target": "tag",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~ALL"]}},
        "rules": [{"type": "creation"}, {"type": "deletion"}],
    }
    kept = await create(forge, tag_name="v1.0")
    assert (await ada.call("POST", "/repos/ada/engine/rulesets", json=rule)).status_code == 201
    refused = await create(forge, status=422, tag_name="v2.0")
    assert "no tags" in str(refused)
    assert set(await tags(forge, place[0])) == {"refs/tags/v1.0"}
    # And a release whose tag has to stay stays with it.
    page = "/ada/engine/releases/tag/v1.0"
    browser = forge.browser(forge.people["ada"])
    await browser.submit(f"/ada/engine/releases/{kept['id']}/delete", {"with_tag": "true"}, page=page)
    assert (await forge.api().get(f"{RELEASES}/tags/v1.0")).json()["id"] == kept["id"]
    assert set(await tags(forge, place[0])) == {"refs/tags/v1.0"}


async def test_an_edit_moves_a_release_to_another_tag_and_keeps_the_rest(forge: Forge, place: Place) -> None:
    made = await create(forge, tag_name="v1.0", name="One", body="notes")
    ada = forge.api(forge.people["ada"])
    moved = await ada.call("PATCH", f"{RELEASES}/{made['id']}", json={"tag_name": "v1.0.1"})
    assert moved.status_code == 200
    assert (moved.json()["tag_name"], moved.json()["name"], moved.json()["body"]) == ("v1.0.1", "One", "notes")
    assert set(await tags(forge, place[0])) == {"refs/tags/v1.0", "refs/tags/v1.0.1"}
    assert (await forge.api().get(f"{RELEASES}/tags/v1.0")).status_code == 404


async def test_two_drafts_may_share_a_tag_and_one_is_published(forge: Forge, place: Place) -> None:
    drafts = [await create(forge, tag_name="v1.0", draft=True) for _ in range(2)]
    ada = forge.api(forge.people["ada"])
    answers = [await ada.call("PATCH", f"{RELEASES}/{each['id']}", json={"draft": False}) for each in drafts]
    assert [answer.status_code for answer in answers] == [200, 422]
