"""The page on which owners see the tokens that reach their organization."""

import re

from sqlalchemy import Engine, event
from tests.factories.company import Company, company
from tests.repositories.test_organization_tokens_api import repository, token

__all__ = ["company"]

PATH = "/organizations/acme/settings/tokens"


async def test_owners_see_the_tokens_and_revoke_one(company: Company) -> None:
    engine = await repository(company, "engine")
    made = await token(company, "max", "ci", repository_ids=frozenset({engine, 999_999}), contents="write")
    await token(company, "mia", "laptop")
    browser = company.forge.browser(company.forge.people["olga"])
    shown = await browser.get(PATH)
    assert shown.headers["cache-control"] == "no-store"
    for text in ("ci", "laptop", "contents: write", 'href="/max"', 'href="/acme/engine"', "1 chosen repository"):
        assert text in shown.text
    assert made.secret not in shown.text
    done = await browser.submit(f"{PATH}/revoke", {"id": str(made.row.id)}, page=PATH)
    assert (done.status_code, done.headers["location"]) == (303, PATH)
    assert names(await shown_names(company)) == ["laptop"]
    again = await browser.submit(f"{PATH}/revoke", {"id": str(made.row.id)}, page=PATH)
    assert again.status_code == 404


async def shown_names(company: Company, query: str = "") -> str:
    """Return the page as Olga sees it."""
    browser = company.forge.browser(company.forge.people["olga"])
    return (await browser.get(PATH + query)).text


def names(html: str) -> list[str]:
    """Return the names of the tokens on a page."""
    return re.findall(r'class="list-title">([^<]+)</span>', html)


async def test_the_list_is_kept_by_person_and_repository(company: Company) -> None:
    engine = await repository(company, "engine")
    await token(company, "max", "one", repository_ids=frozenset({engine}))
    await token(company, "mia", "two", repository_ids=frozenset())
    for query, wanted in (
        ("", ["two", "one"]),
        ("?person=MAX", ["one"]),
        ("?person=%00", ["two", "one"]),
        ("?person=no+login", []),
        ("?repository=acme/engine", ["one"]),
        ("?repository=engine&person=mia", []),
        ("?repository=absent", []),
    ):
        html = await shown_names(company, query)
        assert names(html) == wanted, query
        assert ("No such token" in html) == (not wanted)


async def test_what_a_policy_refuses_is_marked(company: Company) -> None:
    await token(company, "max", "for ever")
    browser = company.forge.browser(company.forge.people["olga"])
    await browser.submit("/organizations/acme/settings", {"token_lifetime_max_days": "30"})
    assert "Refused: lives too long" in await shown_names(company)


async def test_a_longer_list_takes_no_more_statements(company: Company) -> None:
    engine = await repository(company, "engine")
    ran: list[str] = []

    def note(*facts: object) -> None:
        ran.append(str(facts[2]))

    async def statements() -> int:
        ran.clear()
        event.listen(Engine, "before_cursor_execute", note)
        try:
            await shown_names(company)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(ran)

    await token(company, "max", "first", repository_ids=frozenset({engine}))
    one = await statements()
    for number in range(9):
        await token(company, "mia", f"more {number}", repository_ids=frozenset({engine}), contents="read")
    assert (len(names(await shown_names(company))), await statements()) == (10, one)


async def test_the_list_goes_on_over_pages(company: Company) -> None:
    for number in range(31):
        await token(company, "max", f"t{number}")
    first, second = await shown_names(company), await shown_names(company, "?page=2")
    assert (len(names(first)), names(second)) == (30, ["t0"])
    assert ('rel="next"' in first, 'rel="next"' in second, 'rel="prev"' in second) == (True, False, True)


async def test_nobody_else_sees_the_page(company: Company) -> None:
    for name in ("max", "sam"):
        browser = company.forge.browser(company.forge.people[name])
        assert (await browser.get(PATH)).status_code == 403
    assert (await company.forge.browser().get(PATH)).status_code == 303
