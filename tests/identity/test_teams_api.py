"""Teams over REST, and who may call what."""

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]

EVERYBODY = ("anonymous", "sam", "max", "mia", "olga", "root", "sue", "narrow")
TEAMS = "/orgs/acme/teams"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", TEAMS, None, (401, 403, 200, 200, 200, 200, 403, 403)),
        ("POST", TEAMS, {"name": "!"}, (401, 403, 422, 422, 422, 422, 403, 403)),
        ("GET", f"{TEAMS}/core", None, (404, 404, 200, 200, 200, 200, 403, 404)),
        ("GET", f"{TEAMS}/vault", None, (404, 404, 404, 404, 200, 200, 403, 404)),
        ("PATCH", f"{TEAMS}/core", {"description": "x"}, (404, 404, 403, 200, 200, 200, 403, 404)),
        ("PATCH", f"{TEAMS}/vault", {"description": "x"}, (404, 404, 404, 404, 200, 200, 403, 404)),
        ("DELETE", f"{TEAMS}/core", {}, (404, 404, 403, None, None, None, 403, 404)),
        ("GET", f"{TEAMS}/core/teams", None, (404, 404, 200, 200, 200, 200, 403, 404)),
        ("GET", f"{TEAMS}/vault/teams", None, (404, 404, 404, 404, 200, 200, 403, 404)),
        ("GET", f"{TEAMS}/core/members", None, (404, 404, 200, 200, 200, 200, 403, 404)),
        ("GET", f"{TEAMS}/vault/members", None, (404, 404, 404, 404, 200, 200, 403, 404)),
        ("GET", f"{TEAMS}/core/memberships/mia", None, (404, 404, 200, 200, 200, 200, 403, 404)),
        ("PUT", f"{TEAMS}/core/memberships/max", {"role": "member"}, (404, 404, 403, 200, 200, 200, 403, 404)),
        ("DELETE", f"{TEAMS}/core/memberships/mia", {}, (404, 404, 403, None, None, None, 403, 404)),
        ("GET", "/user/teams", None, (401, 200, 200, 200, 200, 200, 403, 200)),
    ],
)
async def test_who_may_call_what(
    company: Company, method: str, path: str, body: dict[str, str] | None, expected: tuple[int | None, ...]
) -> None:
    """None stands for a call that would succeed and is made by a test of its own."""
    wanted = {name: status for name, status in zip(EVERYBODY, expected, strict=True) if status is not None}
    options = {} if body is None else {"json": body}
    assert await company.statuses(method, path, *wanted, **options) == wanted


async def test_teams_are_made_nested_renamed_moved_and_deleted(company: Company) -> None:
    olga, core = company.api("olga"), company.teams["core"]
    wanted = {"name": "Front End", "parent_team_id": core, "maintainers": ["max"]}
    made = await olga.call("POST", TEAMS, json=wanted)
    body = made.json()
    assert (made.status_code, body["slug"], body["privacy"], body["parent"]["slug"]) == (
        201,
        "front-end",
        "closed",
        "core",
    )
    assert body["members_count"] == 2
    assert [one["slug"] for one in (await olga.get(f"{TEAMS}/core/teams")).json()] == ["front-end"]
    legacy = await olga.get(f"/organizations/{company.id}/team/{body['id']}")
    assert legacy.json()["url"] == body["url"]
    assert (await olga.get(f"/organizations/{company.id + 1}/team/{body['id']}")).status_code == 404
    renamed = (await olga.call("PATCH", f"{TEAMS}/front-end", json={"name": "Web"})).json()
    assert (renamed["slug"], renamed["parent"]["slug"]) == ("web", "core")
    assert (await olga.call("PATCH", f"{TEAMS}/web", json={"parent_team_id": None})).json()["parent"] is None
    circle = await olga.call("PATCH", f"{TEAMS}/web", json={"parent_team_id": body["id"]})
    assert circle.status_code == 422
    assert (await olga.call("DELETE", f"{TEAMS}/web")).status_code == 204
    assert (await olga.get(f"{TEAMS}/web")).status_code == 404


async def test_a_secret_team_is_in_no_list_of_others(company: Company) -> None:
    async def slugs(name: str) -> list[str]:
        return [one["slug"] for one in (await company.api(name).get(TEAMS)).json()]

    assert await slugs("olga") == ["core", "vault"]
    assert await slugs("max") == ["core"]


async def test_people_come_and_go(company: Company) -> None:
    mia, core = company.api("mia"), f"{TEAMS}/core"
    placed = (await mia.call("PUT", f"{core}/memberships/max", json={"role": "maintainer"})).json()
    assert (placed["role"], placed["state"]) == ("maintainer", "active")
    assert [one["slug"] for one in (await company.api("max").get("/user/teams")).json()] == ["core"]
    maintainers = (await mia.get(f"{core}/members?role=maintainer")).json()
    assert [one["login"] for one in maintainers] == ["max", "mia", "olga"]
    assert (await mia.get(f"{core}/members?role=boss")).status_code == 422
    assert (await company.api("max").call("DELETE", f"{core}/memberships/max")).status_code == 204
    assert (await mia.get(f"{core}/memberships/max")).status_code == 404
    assert (await mia.call("PUT", f"{core}/memberships/sam", json={})).status_code == 403, "only owners invite"
    assert (await mia.call("PUT", f"{core}/memberships/nobody", json={})).status_code == 404
    assert (await mia.call("PUT", f"{core}/memberships/max", json={"role": "boss"})).status_code == 422
