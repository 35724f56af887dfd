"""A team's repositories on its page: seen by who sees both, changed by who administers the repository."""

import re

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]

PAGE = "/orgs/acme/teams/core/repositories"


@pytest.fixture
async def engine(company: Company) -> Company:
    """The company with ``acme/engine``, private; members see nothing by themselves."""
    olga = company.api("olga")
    await olga.call("PATCH", "/orgs/acme", json={"default_repository_permission": "none"})
    made = await olga.call("POST", "/orgs/acme/repos", json={"name": "engine", "private": True})
    assert made.status_code == 201
    return company


async def test_an_administrator_adds_changes_and_removes(engine: Company) -> None:
    browser, mia = engine.forge.browser(engine.forge.people["olga"]), engine.api("mia")
    for typed, role in (("engine", "read"), ("acme/Engine", "maintain")):
        put = await browser.submit(PAGE, {"repository": typed, "role": role})
        assert (put.status_code, put.headers["location"]) == (303, PAGE)
        assert (await mia.get("/repos/acme/engine")).json()["permissions"]["maintain"] is (role == "maintain")
    shown = (await engine.forge.browser(engine.forge.people["mia"]).get(PAGE)).text
    assert "engine" in shown
    assert 'aria-label="Role on engine"' not in shown, "a maintainer of the team is no administrator of the repository"
    raised = {"repository": "acme/engine", "role": "admin"}
    assert (await engine.forge.browser(engine.forge.people["mia"]).submit(PAGE, raised)).status_code == 422
    gone = await browser.submit(f"{PAGE}/remove", {"repository": "acme/engine"}, page=PAGE)
    assert gone.status_code == 303
    assert (await mia.get("/repos/acme/engine")).status_code == 404


async def test_a_maintainer_takes_the_team_out(engine: Company) -> None:
    await engine.api("olga").call("PUT", "/orgs/acme/teams/core/repos/acme/engine", json={"permission": "pull"})
    browser = engine.forge.browser(engine.forge.people["mia"])
    assert f'action="{PAGE}/remove"' in (await browser.get(PAGE)).text
    assert (await browser.submit(f"{PAGE}/remove", {"repository": "acme/engine"}, page=PAGE)).status_code == 303
    assert (await engine.api("mia").get("/repos/acme/engine")).status_code == 404
    await engine.api("olga").call("PUT", "/orgs/acme/teams/core/repos/acme/engine", json={"permission": "pull"})
    gone = await engine.api("mia").call("DELETE", "/orgs/acme/teams/core/repos/acme/engine")
    assert gone.status_code == 204


async def test_roles_by_a_team_above_are_told_apart(engine: Company) -> None:
    olga, browser = engine.api("olga"), engine.forge.browser(engine.forge.people["olga"])
    child = {"name": "Web", "privacy": "closed", "parent_team_id": engine.teams["core"]}
    assert (await olga.call("POST", "/orgs/acme/teams", json=child)).status_code == 201
    await browser.submit(PAGE, {"repository": "engine", "role": "write"})
    page = "/orgs/acme/teams/web/repositories"
    assert "Write by a team above" in (await browser.get(page)).text
    await browser.submit(page, {"repository": "engine", "role": "read"})
    shown = (await browser.get(page)).text
    assert "Write by a team above" in shown
    assert re.search(r'<option value="read" selected>', shown), "its own role is what the form changes"


@pytest.mark.parametrize("name", ["anonymous", "sam", "max", "mia", "sue"])
async def test_nobody_else_gives_a_team_a_role(engine: Company, name: str) -> None:
    browser = engine.forge.browser(engine.forge.people.get(name))
    for path in (PAGE, f"{PAGE}/remove"):
        answer = await browser.submit(path, {"repository": "engine", "role": "admin"}, page="/-/appearance")
        assert answer.status_code in {401, 403, 404, 422}
        assert name not in {"max", "mia"} or "no repository" in answer.text, "hidden is absent"
    assert (await engine.api("olga").get("/orgs/acme/teams/core/repos")).json() == []


async def test_what_is_no_repository_of_the_organization_is_told_at_the_field(engine: Company) -> None:
    browser = engine.forge.browser(engine.forge.people["olga"])
    await engine.api("olga").call("POST", "/user/repos", json={"name": "own"})
    for typed, said in (
        ("nothing", "no repository"),
        ("olga/own", "Only teams of the organization"),
        ("", "Fill this"),
    ):
        answer = await browser.submit(PAGE, {"repository": typed, "role": "read"})
        assert (answer.status_code, said in answer.text) == (422, True), typed
