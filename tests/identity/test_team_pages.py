"""Pages of teams: who sees and may what, the tree, people in and out, settings that hold together, deletion by name."""

import re

import pytest
from tests.factories.company import Company, company
from tests.stories.browser import forms_of

__all__ = ["company"]

EVERYBODY = ("anonymous", "sam", "max", "mia", "olga", "root", "sue")
SIGN_IN = 303


async def _statuses(company: Company, path: str) -> tuple[int, ...]:
    browsers = [company.forge.browser(company.forge.people.get(name)) for name in EVERYBODY]
    return tuple([(await browser.client.get(path)).status_code for browser in browsers])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/orgs/acme/teams", (SIGN_IN, 403, 200, 200, 200, 200, SIGN_IN)),
        ("/orgs/acme/teams/new", (SIGN_IN, 403, 200, 200, 200, 200, SIGN_IN)),
        ("/orgs/acme/teams/core", (404, 404, 200, 200, 200, 200, 404)),
        ("/orgs/acme/teams/core/teams", (404, 404, 200, 200, 200, 200, 404)),
        ("/orgs/acme/teams/core/repositories", (404, 404, 200, 200, 200, 200, 404)),
        ("/orgs/acme/teams/core/settings", (404, 404, 403, 200, 200, 200, 404)),
        ("/orgs/acme/teams/vault", (404, 404, 404, 404, 200, 200, 404)),
        ("/orgs/acme/teams/vault/repositories", (404, 404, 404, 404, 200, 200, 404)),
        ("/orgs/acme/teams/vault/settings", (404, 404, 404, 404, 200, 200, 404)),
        ("/orgs/acme/teams/absent", (404, 404, 404, 404, 404, 404, 404)),
    ],
)
async def test_who_sees_which_page(company: Company, path: str, expected: tuple[int, ...]) -> None:
    found = await _statuses(company, path)
    # Suspended people are answered as strangers are; by what page depends on the door.
    assert found[:-1] == expected[:-1]
    assert found[-1] != 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/orgs/acme/teams/core/members", {"username": "max", "role": "member"}),
        ("/orgs/acme/teams/core/members/remove", {"username": "mia"}),
        ("/orgs/acme/teams/core/settings", {"name": "Changed", "privacy": "closed"}),
        ("/orgs/acme/teams/core/settings/delete", {"slug": "core"}),
        ("/orgs/acme/teams/vault/members", {"username": "max", "role": "member"}),
        ("/orgs/acme/teams/vault/settings/delete", {"slug": "vault"}),
    ],
)
async def test_who_may_not_change_a_team_changes_nothing(company: Company, path: str, fields: dict[str, str]) -> None:
    for name in ("anonymous", "sam", "max", "sue"):
        browser = company.forge.browser(company.forge.people.get(name))
        answer = await browser.submit(path, fields, page="/-/appearance")
        assert answer.status_code in {401, 403, 404}, (name, answer.status_code)
        assert name != "sam" or answer.status_code == 404
    olga = company.api("olga")
    assert (await olga.get("/orgs/acme/teams/core")).json()["name"] == "Core"
    assert (await olga.get("/orgs/acme/teams/vault")).status_code == 200
    members = (await olga.get("/orgs/acme/teams/core/members")).json()
    assert {one["login"] for one in members} == {"mia", "olga"}


async def test_a_team_is_made_below_another_and_stands_there_in_the_tree(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["olga"])
    form = next(
        form
        for form in forms_of((await browser.get("/orgs/acme/teams/new?parent=core")).text)
        if form.action == "/orgs/acme/teams"
    )
    assert form.fields["parent"] == str(company.teams["core"])
    made = await browser.post("/orgs/acme/teams", form.fields | {"name": "Core Web", "description": "Pages"})
    assert made.headers["location"] == "/orgs/acme/teams/core-web"
    listed = (await browser.get("/orgs/acme/teams")).text
    assert re.search(r"depth-0.*?Core<.*?depth-1.*?Core Web<.*?depth-0.*?Vault", listed, re.DOTALL)
    found = (await browser.get("/orgs/acme/teams?q=web")).text
    assert ("Core Web" in found, "Vault" in found, "Below Core" in found) == (True, False, True)
    assert "Nothing matches" in (await browser.get("/orgs/acme/teams?q=nowhere")).text
    child = (await browser.get("/orgs/acme/teams/core-web")).text
    assert 'href="/orgs/acme/teams/core"' in child
    assert "Core Web" in (await browser.get("/orgs/acme/teams/core/teams")).text
    secret = {"name": "Hidden", "privacy": "secret", "parent": str(company.teams["core"])}
    refused = await browser.submit("/orgs/acme/teams", secret, page="/orgs/acme/teams/new")
    assert (refused.status_code, 'value="Hidden"' in refused.text) == (422, True)
    assert "A secret team has no parent" in refused.text


async def test_a_maintainer_lets_people_in_raises_them_and_puts_them_out(company: Company) -> None:
    browser, path = company.forge.browser(company.forge.people["mia"]), "/orgs/acme/teams/core"
    for role in ("member", "maintainer"):
        put = await browser.submit(f"{path}/members", {"username": "@max", "role": role}, page=path)
        assert put.status_code == 303
        place = (await company.api("olga").get(f"{path}/memberships/max")).json()
        assert place["role"] == role
    stranger = await browser.submit(f"{path}/members", {"username": "sam", "role": "member"}, page=path)
    assert (stranger.status_code, "no member of acme" in stranger.text) == (422, True)
    assert "sam" in stranger.text
    out = await browser.submit(f"{path}/members/remove", {"username": "max"}, page=path)
    assert (out.status_code, out.headers["location"]) == (303, path)
    assert (await company.api("olga").get(f"{path}/memberships/max")).status_code == 404
    owner = await browser.submit(f"{path}/members", {"username": "olga", "role": "member"}, page=path)
    assert owner.status_code == 303
    assert "Owners of the organization are maintainers" in (await browser.get(path)).text


async def test_members_leave_by_themselves_and_out_of_a_secret_team_for_the_list(company: Company) -> None:
    olga = company.forge.browser(company.forge.people["olga"])
    await olga.submit("/orgs/acme/teams/vault/members", {"username": "max"}, page="/orgs/acme/teams/vault")
    max_ = company.forge.browser(company.forge.people["max"])
    assert "Leave" in (await max_.get("/orgs/acme/teams/vault")).text
    left = await max_.submit(
        "/orgs/acme/teams/vault/members/remove", {"username": "max"}, page="/orgs/acme/teams/vault"
    )
    assert (left.status_code, left.headers["location"]) == (303, "/orgs/acme/teams")
    assert (await max_.get("/orgs/acme/teams/vault")).status_code == 404


async def test_settings_change_together_or_not_at_all(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["olga"])
    await browser.submit("/orgs/acme/teams", {"name": "Web", "privacy": "closed", "parent": ""},
                         page="/orgs/acme/teams/new")  # fmt: skip
    path = "/orgs/acme/teams/web/settings"
    below = {"name": "Net", "description": "d", "privacy": "secret", "parent": str(company.teams["core"])}
    refused = await browser.submit(path, below)
    assert (refused.status_code, 'value="Net"' in refused.text) == (422, True)
    assert (await company.api("olga").get("/orgs/acme/teams/web")).json()["name"] == "Web", "nothing was kept"
    saved = await browser.submit(path, below | {"privacy": "closed"})
    assert saved.headers["location"] == "/orgs/acme/teams/net/settings"
    net = (await company.api("olga").get("/orgs/acme/teams/net")).json()
    assert (net["parent"]["slug"], net["description"]) == ("core", "d")
    alone = {"name": "Net", "privacy": "secret", "parent": ""}
    assert (await browser.submit("/orgs/acme/teams/net/settings", alone)).status_code == 303
    net = (await company.api("olga").get("/orgs/acme/teams/net")).json()
    assert (net["parent"], net["privacy"]) == (None, "secret")
    for wrong in ("x", "-1", "²", "9" * 30, "999999999"):
        answer = await browser.submit("/orgs/acme/teams/net/settings", alone | {"privacy": "closed", "parent": wrong})
        assert answer.status_code in {404, 422}, wrong


async def test_a_team_goes_when_its_address_was_typed(company: Company) -> None:
    browser, path = company.forge.browser(company.forge.people["mia"]), "/orgs/acme/teams/core/settings"
    refused = await browser.submit(f"{path}/delete", {"slug": "cor"}, page=path)
    assert (refused.status_code, "Type core to delete it." in refused.text) == (422, True)
    gone = await browser.submit(f"{path}/delete", {"slug": "Core"}, page=path)
    assert gone.headers["location"] == "/orgs/acme/teams"
    assert (await browser.get("/orgs/acme/teams/core")).status_code == 404
