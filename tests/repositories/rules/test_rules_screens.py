"""What the pages of rulesets do is the same for a repository and for an organization."""

import json

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]

REPOSITORY = "/acme/site/settings/rules"
ORGANIZATION = "/organizations/acme/settings/rules"


@pytest.mark.parametrize("page", [REPOSITORY, ORGANIZATION], ids=["repository", "organization"])
async def test_a_ruleset_goes_through_every_form(company: Company, page: str) -> None:
    await company.api("olga").call("POST", "/orgs/acme/repos", json={"name": "site"})
    browser = company.forge.browser(company.forge.people["olga"])
    nameless = await browser.submit(page, {"name": " ", "enforcement": "active"}, page=f"{page}/new?preset=secrets")
    assert nameless.status_code == 422
    assert "Give the ruleset a name." in nameless.text
    done = await browser.submit(page, {"name": "One", "enforcement": "disabled"}, page=f"{page}/new")
    assert (done.status_code, done.headers["location"]) == (303, page)
    shown = await browser.get(page)
    assert shown.headers["cache-control"] == "no-store"
    assert "does nothing until it is turned on" in shown.text
    twice = await browser.submit(page, {"name": "One", "enforcement": "disabled"}, page=f"{page}/new")
    assert (twice.status_code, "already" in twice.text) == (422, True)
    text = json.dumps(
        {"name": "Two", "enforcement": "active", "bypass_actors": [{"actor_type": "User", "actor_id": 9**9}]}
    )
    filled = (await browser.submit(f"{page}/import", {"json": text}, page=page)).text
    assert 'value="Two"' in filled
    assert "1 of those who may bypass it are not known here" in filled
    assert f'action="{page}"' in filled
