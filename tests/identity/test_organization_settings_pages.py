"""An organization's settings: what is kept, and what deleting asks for."""

from tests.factories.company import Company, company

__all__ = ["company"]

PATH = "/organizations/acme/settings"


async def test_profile_and_policies_are_kept(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["olga"])
    saved = await browser.submit(PATH, {"description": "We make things", "base_permission": "none"})
    assert saved.status_code == 303
    body = (await company.api("olga").get("/orgs/acme")).json()
    assert (body["description"], body["default_repository_permission"]) == ("We make things", "none")
    wrong = await browser.submit(PATH, {"website": "javascript:alert(1)"})
    assert (wrong.status_code, "must start with http" in wrong.text) == (422, True)


async def test_deleting_asks_for_the_name(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["olga"])
    wrong = await browser.submit(f"{PATH}/delete", {"login": "acme-inc"}, page=PATH)
    assert wrong.status_code == 422
    assert (await company.api("olga").get("/orgs/acme")).status_code == 200
    done = await browser.submit(f"{PATH}/delete", {"login": "acme"}, page=PATH)
    assert done.status_code == 303
    assert (await company.api("olga").get("/orgs/acme")).status_code == 404
