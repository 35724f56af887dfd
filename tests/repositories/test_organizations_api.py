"""Repositories of organizations over REST: who may call what, roles of teams."""

import pytest
from tests.factories.company import Company, company
from tests.factories.forge import ApiClient

from cairn.access.roles import Role
from cairn.repositories.queries import find_repository

__all__ = ["company"]

EVERYBODY = ("anonymous", "sam", "max", "mia", "olga", "root", "sue", "narrow")
GRANT = "/orgs/acme/teams/core/repos/acme/engine"


@pytest.fixture
async def engine_there(company: Company) -> Company:
    """The company with the private repository ``acme/engine``, which members do not see by themselves."""
    olga = company.api("olga")
    assert (await olga.call("PATCH", "/orgs/acme", json={"default_repository_permission": "none"})).status_code == 200
    made = await olga.call("POST", "/orgs/acme/repos", json={"name": "engine", "private": True})
    assert (made.status_code, made.json()["full_name"]) == (201, "acme/engine"), made.text
    return company


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/orgs/acme/repos", None, (200, 200, 200, 200, 200, 200, 403, 200)),
        ("POST", "/orgs/acme/repos", {"name": "."}, (401, 422, 422, 422, 422, 422, 403, 422)),
        ("GET", "/orgs/acme/teams/core/repos", None, (404, 404, 200, 200, 200, 200, 403, 404)),
        ("GET", "/orgs/acme/teams/vault/repos", None, (404, 404, 404, 404, 200, 200, 403, 404)),
        ("GET", "/repos/acme/engine/teams", None, (404, 404, 404, 404, 200, 200, 403, 404)),
        ("PUT", GRANT, {"permission": "pull"}, (404, 404, 404, 404, 204, 204, 403, 404)),
        ("DELETE", GRANT, {}, (404, 404, 404, 404, None, None, 403, 404)),
    ],
)
async def test_who_may_call_what(
    engine_there: Company, method: str, path: str, body: dict[str, str] | None, expected: tuple[int | None, ...]
) -> None:
    """None stands for a call that would succeed and is made by a test of its own."""
    wanted = {name: status for name, status in zip(EVERYBODY, expected, strict=True) if status is not None}
    options = {} if body is None else {"json": body}
    assert await engine_there.statuses(method, path, *wanted, **options) == wanted


async def test_strangers_make_no_repository_in_an_organization(company: Company) -> None:
    wanted = {"sam": 403, "narrow": 403, "max": 201}
    assert await company.statuses("POST", "/orgs/acme/repos", *wanted, json={"name": "made"}) == wanted
    closed = {"members_can_create_repositories": False}
    assert (await company.api("olga").call("PATCH", "/orgs/acme", json=closed)).status_code == 200
    assert await company.statuses("POST", "/orgs/acme/repos", "max", json={"name": "other"}) == {"max": 403}


async def test_a_team_is_let_in_and_put_out(engine_there: Company) -> None:
    olga, mia = engine_there.api("olga"), engine_there.api("mia")
    assert (await mia.get("/repos/acme/engine")).status_code == 404
    assert (await olga.get(GRANT)).status_code == 404
    assert (await olga.call("PUT", GRANT, json={"permission": "maintain"})).status_code == 204
    assert (await mia.get("/repos/acme/engine")).json()["permissions"]["maintain"] is True
    assert (await mia.get(GRANT)).status_code == 204
    detailed = await mia.get(GRANT, headers={"accept": "application/vnd.github.v3.repository+json"})
    assert (detailed.json()["full_name"], detailed.json()["role_name"]) == ("acme/engine", "maintain")
    (listed,) = (await mia.get("/orgs/acme/teams/core/repos")).json()
    assert (listed["full_name"], listed["role_name"]) == ("acme/engine", "maintain")
    (team,) = (await olga.get("/repos/acme/engine/teams")).json()
    assert (team["slug"], team["permission"]) == ("core", "maintain")
    assert (await olga.call("PUT", GRANT, json={"permission": "all"})).status_code == 422
    assert (await olga.call("DELETE", GRANT)).status_code == 204
    assert (await mia.get("/repos/acme/engine")).status_code == 404


async def test_a_repository_says_that_an_organization_owns_it(engine_there: Company) -> None:
    olga = engine_there.api("olga")
    assert (await olga.call("POST", "/user/repos", json={"name": "own"})).status_code == 201
    body = (await olga.get("/repos/acme/engine")).json()
    assert (body["owner"]["type"], body["organization"]) == ("Organization", body["owner"])
    own = (await olga.get("/repos/olga/own")).json()
    assert (own["owner"]["type"], "organization" in own) == ("User", False)


@pytest.mark.parametrize("role", ["pull", "triage", "push", "maintain", "admin"])
async def test_permissions_are_those_of_the_team_s_role(engine_there: Company, role: str) -> None:
    order = ["pull", "triage", "push", "maintain", "admin"]
    assert (await engine_there.api("olga").call("PUT", GRANT, json={"permission": role})).status_code == 204
    found = (await engine_there.api("mia").get("/repos/acme/engine")).json()["permissions"]
    assert found == {word: order.index(word) <= order.index(role) for word in order}


async def test_own_repositories_are_told_apart_by_the_tie(engine_there: Company) -> None:
    """By membership: what a team or the base permission gives there; by name: the collaborator, member or not."""
    olga, mia, sam = (engine_there.api(name) for name in ("olga", "mia", "sam"))

    async def names(who: ApiClient, query: str = "") -> list[str]:
        return [one["full_name"] for one in (await who.get(f"/user/repos?{query}")).json()]

    assert (await olga.call("POST", "/orgs/acme/repos", json={"name": "open"})).status_code == 201
    assert await names(olga) == ["acme/engine", "acme/open"]
    assert await names(olga, "affiliation=owner,collaborator") == []
    assert await names(olga, "affiliation=organization_member") == ["acme/engine", "acme/open"]
    assert await names(mia) == [], "that everybody may see it gives nobody a role"
    assert (await olga.call("PUT", GRANT, json={"permission": "pull"})).status_code == 204
    assert await names(mia) == await names(mia, "type=member") == ["acme/engine"]
    assert await names(mia, "affiliation=collaborator") == []
    forge = engine_there.forge
    async with forge.database.read() as session:
        engine = await find_repository(session, forge.people["olga"].actor, "acme", "engine")
    await forge.grant(engine, forge.people["sam"], Role.READ)
    assert await names(sam) == await names(sam, "affiliation=collaborator") == ["acme/engine"]
    assert await names(sam, "affiliation=organization_member") == []
    assert (await olga.call("PATCH", "/orgs/acme", json={"default_repository_permission": "read"})).status_code == 200
    assert await names(mia, "affiliation=organization_member") == ["acme/engine", "acme/open"]
