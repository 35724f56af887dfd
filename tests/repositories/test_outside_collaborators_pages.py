"""The page of outside collaborators: owners see them, take everything from them, and make members ones."""

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]

PAGE = "/orgs/acme/outside-collaborators"


@pytest.fixture
async def engine(company: Company) -> Company:
    """The company with the private ``acme/engine``, on which Sam, a stranger, and Max, a member, have roles."""
    olga = company.api("olga")
    await olga.call("PATCH", "/orgs/acme", json={"default_repository_permission": "none"})
    assert (await olga.call("POST", "/orgs/acme/repos", json={"name": "engine", "private": True})).status_code == 201
    for name in ("sam", "max"):
        path = f"/repos/acme/engine/collaborators/{name}"
        assert (await olga.call("PUT", path, json={"permission": "push"})).status_code == 204
    return company


async def test_for_owners_only(engine: Company) -> None:
    for name, wanted in {"anonymous": {303}, "sam": {403}, "max": {403}, "mia": {403}, "sue": {303, 403}}.items():
        browser = engine.forge.browser(engine.forge.people.get(name))
        assert (await browser.get(PAGE)).status_code in wanted, name
        for path, who in ((PAGE, "max"), (f"{PAGE}/remove", "sam")):
            answer = await browser.submit(path, {"username": who}, page="/-/appearance")
            assert answer.status_code in {401, 403}, (name, path)
    assert (await engine.api("sam").get("/repos/acme/engine")).status_code == 200


async def test_everything_is_taken_from_somebody_at_once(engine: Company) -> None:
    browser = engine.forge.browser(engine.forge.people["olga"])
    shown = (await browser.get(PAGE)).text
    assert "engine</a>: write" in shown
    assert 'value="max"' not in shown, "a member is none"
    gone = await browser.submit(f"{PAGE}/remove", {"username": "sam"}, page=PAGE)
    assert (gone.status_code, gone.headers["location"]) == (303, PAGE)
    assert (await engine.api("sam").get("/repos/acme/engine")).status_code == 404
    assert "No outside collaborators" in (await browser.get(PAGE)).text
    again = await browser.submit(f"{PAGE}/remove", {"username": "sam"}, page=PAGE)
    assert again.status_code == 404


async def test_a_member_becomes_one_and_keeps_single_roles(engine: Company) -> None:
    browser = engine.forge.browser(engine.forge.people["olga"])
    made = await browser.submit(PAGE, {"username": "@max"})
    assert made.status_code == 303
    assert 'value="max"' in (await browser.get(PAGE)).text
    assert (await engine.api("max").get("/repos/acme/engine")).status_code == 200
    assert (await engine.api("max").get("/user/memberships/orgs/acme")).status_code == 404
    for name, said in (("nobody", "no member"), ("sam", "no member"), ("olga", "needs an owner"), ("", "Fill this in")):
        refused = await browser.submit(PAGE, {"username": name})
        assert (refused.status_code, said in refused.text) == (422, True), name
