"""Pages of an organization: who sees what, and what their forms do."""

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/acme", {"anonymous": 200, "sam": 200, "max": 200, "olga": 200}),
        ("/orgs/acme/people", {"anonymous": 200, "sam": 200, "max": 200, "olga": 200}),
        ("/orgs/acme/teams", {"anonymous": 303, "sam": 403, "max": 200, "olga": 200, "root": 200}),
        ("/organizations/acme/settings", {"anonymous": 303, "sam": 403, "max": 403, "olga": 200, "root": 200}),
        ("/organizations/new", {"anonymous": 303, "sam": 200}),
        ("/settings/organizations", {"anonymous": 303, "max": 200}),
        ("/orgs/absent/people", {"anonymous": 404, "olga": 404}),
    ],
)
async def test_who_sees_which_page(company: Company, path: str, expected: dict[str, int]) -> None:
    found = {}
    for name in expected:
        browser = company.forge.browser(company.forge.people.get(name))
        found[name] = (await browser.client.get(path)).status_code
    assert found == expected


async def test_hidden_members_and_secret_teams_are_not_on_the_pages_of_others(company: Company) -> None:
    stranger, member = (company.forge.browser(company.forge.people[name]) for name in ("sam", "max"))
    assert "olga" not in (await stranger.client.get("/orgs/acme/people")).text
    assert "olga" in (await member.client.get("/orgs/acme/people")).text
    listed = (await member.client.get("/orgs/acme/teams")).text
    assert "Core" in listed
    assert "Vault" not in listed


async def test_an_organization_is_founded_and_its_name_is_checked(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["sam"])
    taken = await browser.submit("/organizations/new", {"login": "acme", "name": ""})
    assert (taken.status_code, "taken" in taken.text) == (422, True)
    made = await browser.submit("/organizations/new", {"login": "sams", "name": "Sam & Sons"})
    assert (made.status_code, made.headers["location"]) == (303, "/sams")
    assert "Sam &amp; Sons" in (await browser.client.get("/settings/organizations")).text


async def test_an_owner_changes_what_members_are_and_adds_nobody_unasked(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["olga"])
    raised = await browser.submit("/orgs/acme/people", {"username": "max", "role": "owner"})
    assert raised.status_code == 303
    assert (await company.api("max").get("/user/memberships/orgs/acme")).json()["role"] == "admin"
    added = await browser.submit("/orgs/acme/people", {"username": "sam", "role": "member"})
    assert (added.status_code, "invite them" in added.text) == (403, True)
    assert (await company.api("sam").get("/user/orgs")).json() == []
