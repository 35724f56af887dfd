"""Transfer over REST, in GitHub's shape: 202, at once into an organization, after consent to a person."""

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]

EVERYBODY = ("anonymous", "sam", "max", "mia", "olga", "root", "sue", "narrow")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"new_owner": "nobody"}, (404, 404, 404, 404, 422, 422, 403, 404)),
        ({"new_owner": "sam"}, (404, 404, 404, 404, 202, 422, 403, 404)),
        ({}, (404, 404, 404, 404, 422, 422, 403, 404)),
        ({"new_owner": "acme", "new_name": 7}, (404, 404, 404, 404, 422, 422, 403, 404)),
    ],
)
async def test_who_may_call_it(company: Company, body: dict[str, object], expected: tuple[int, ...]) -> None:
    """Root's second offer to Sam is refused because Olga's waits."""
    olga = company.api("olga")
    await olga.call("PATCH", "/orgs/acme", json={"default_repository_permission": "none"})
    assert (await olga.call("POST", "/orgs/acme/repos", json={"name": "engine", "private": True})).status_code == 201
    found = await company.statuses("POST", "/repos/acme/engine/transfer", *EVERYBODY, json=body)
    if body == {} or "new_name" in body:
        found = {name: status if name in {"olga", "root"} else None for name, status in found.items()}  # type: ignore[misc]
        assert {name: status for name, status in found.items() if status} == {"olga": 422, "root": 422}
    else:
        assert tuple(found.values()) == expected


async def test_a_repository_is_brought_into_an_organization(company: Company) -> None:
    max_ = company.api("max")
    assert (await max_.call("POST", "/user/repos", json={"name": "tool", "private": True})).status_code == 201
    body = {"new_owner": "acme", "new_name": "hammer", "team_ids": [company.teams["core"]]}
    moved = await max_.call("POST", "/repos/max/tool/transfer", json=body)
    assert (moved.status_code, moved.json()["full_name"]) == (202, "acme/hammer")
    assert (await max_.get("/repos/max/tool")).status_code == 301
    assert [one["slug"] for one in (await max_.get("/repos/acme/hammer/teams")).json()] == ["core"]
    names = [one["name"] for one in (await max_.get("/orgs/acme/repos?type=private")).json()]
    assert names == ["hammer"]


async def test_a_person_is_asked_and_the_answer_shows_the_repository_where_it_is(company: Company) -> None:
    max_, sam = company.api("max"), company.api("sam")
    assert (await max_.call("POST", "/user/repos", json={"name": "tool", "private": True})).status_code == 201
    asked = await max_.call("POST", "/repos/max/tool/transfer", json={"new_owner": "sam"})
    assert (asked.status_code, asked.json()["full_name"]) == (202, "max/tool")
    assert (await sam.get("/repos/max/tool")).status_code == 404, "an offer lets nobody in"
    again = await max_.call("POST", "/repos/max/tool/transfer", json={"new_owner": "mia"})
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "new_owner")
    browser = company.forge.browser(company.forge.people["sam"])
    number = (await max_.get("/repos/max/tool")).json()["id"]
    taken = await browser.submit(
        "/settings/transfers/accept", {"repository": str(number), "name": "tool"}, page="/settings/transfers"
    )
    assert taken.headers["location"] == "/sam/tool"
    moved = await max_.get("/repos/max/tool")
    assert (moved.status_code, (await max_.get(moved.headers["location"])).json()["full_name"]) == (301, "sam/tool")


async def test_a_wrong_team_moves_nothing(company: Company) -> None:
    max_ = company.api("max")
    assert (await max_.call("POST", "/user/repos", json={"name": "tool"})).status_code == 201
    body = {"new_owner": "acme", "team_ids": [999_999_999]}
    assert (await max_.call("POST", "/repos/max/tool/transfer", json=body)).status_code == 404
    assert (await max_.get("/repos/max/tool")).status_code == 200
    for number, wrong in (("no column holds", [2**63]), ("so many", list(range(1, 102)))):
        refused = await max_.call("POST", "/repos/max/tool/transfer", json={"new_owner": "acme", "team_ids": wrong})
        assert refused.status_code == 422, number
