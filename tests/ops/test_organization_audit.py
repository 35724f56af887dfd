"""Owners read their organization's log, and only that one; pages, file and API agree."""

import json
import re

import pytest
from sqlalchemy import select
from tests.factories.forge import ALL_SCOPES, Forge, Person
from tests.factories.organizations import join_organization, make_organization
from tests.factories.repositories import make_repository
from tests.ops.admin_support import administrator, site

from cairn.access.roles import OrganizationRole
from cairn.audit.record import record
from cairn.repositories.models import Repository

__all__ = ["site"]

PAGE, FILE, API = (
    "/organizations/stones/settings/audit-log",
    "/organizations/stones/settings/audit-log.jsonl",
    "/orgs/stones/audit-log",
)


async def _prepare(site: Forge) -> dict[str, Person]:
    """Make stones with an owner and a member, another organization, and entries in both logs and in none."""
    people = {name: await site.person(name) for name in ("olga", "mia", "eve")}
    async with site.database.write() as session:
        stones = await make_organization(session, "stones", owner=people["olga"].account)
        await join_organization(session, stones, people["mia"].account, OrganizationRole.MEMBER)
        sand = await make_organization(session, "sand", owner=people["eve"].account)
        repository = await make_repository(session, stones, "engine")
        for number in range(5):
            record(
                session, people["olga"].actor, "repository.update" if number % 2 else "organization.update",
                f"mine-{number}", account_id=stones.id, repository_id=repository.id if number % 2 else None,
            )  # fmt: skip
            await session.flush()
        record(session, people["eve"].actor, "organization.update", "other-0", account_id=sand.id)
        record(session, people["olga"].actor, "session.create", "other-1", account_id=people["olga"].account.id)
    return people


async def _api(site: Forge, person: Person | None, query: str = "", *scopes: str) -> tuple[int, list[str], str]:
    token = None if person is None else await site.token(person.account, *(scopes or ("admin:org",)))
    answer = await site.api(token).get(API + query)
    body = answer.json()
    return (
        answer.status_code,
        [one["target"] for one in body] if isinstance(body, list) else [],
        answer.headers.get("link", ""),
    )


async def test_who_may_read_it(site: Forge) -> None:
    people = await _prepare(site)
    root = await administrator(site)
    allowed, refused, hidden = {200}, {403, 404}, {303, 401, 404}
    for person, wanted in (
        (people["olga"], allowed), (root, allowed), (people["mia"], refused), (people["eve"], refused), (None, hidden),
    ):  # fmt: skip
        for path in (PAGE, FILE):
            assert (await site.browser(person).get(path)).status_code in wanted, (person and person.account.login, path)
    assert (await _api(site, people["olga"]))[0] == 200
    assert (await _api(site, people["mia"]))[0] in refused
    assert (await _api(site, people["eve"]))[0] in refused
    assert (await _api(site, None))[0] in hidden
    assert (await _api(site, people["olga"], "", *ALL_SCOPES))[0] in refused  # a token without admin:org
    assert (await site.browser(people["olga"]).get("/organizations/olga/settings/audit-log")).status_code == 404


async def test_only_their_own_entries_are_in_it(site: Forge) -> None:
    people = await _prepare(site)
    browser = site.browser(people["olga"])
    page = (await browser.get(PAGE)).text
    assert page.count("mine-") == 5
    assert "other-" not in page
    lines = [json.loads(line) for line in (await browser.get(FILE)).text.splitlines()]
    assert [line["target"] for line in lines] == [f"mine-{number}" for number in (4, 3, 2, 1, 0)]
    assert {line["org"] for line in lines} == {"stones"}
    assert (await _api(site, people["olga"]))[1] == [f"mine-{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("action:repository.update", [3, 1]),
        ("actor:olga mine-2", [2]),
        ("repo:stones/engine", [3, 1]),
        ("repo:sand/engine", []),
        ("created:<2020-01-01", []),
        ("created:>=2020-01-01", [4, 3, 2, 1, 0]),
        ("created:2020-01-01..2099-01-01", [4, 3, 2, 1, 0]),
        ("ip:192.0.2.1", []),
    ],
)
async def test_githubs_search_phrase_works(site: Forge, phrase: str, found: list[int]) -> None:
    people = await _prepare(site)
    assert (await _api(site, people["olga"], f"?phrase={phrase}"))[1] == [f"mine-{number}" for number in found]


async def test_the_api_pages_by_cursor_in_both_orders(site: Forge) -> None:
    people = await _prepare(site)
    for order, wanted in (("desc", [4, 3, 2, 1, 0]), ("asc", [0, 1, 2, 3, 4])):
        seen, query = [], f"?per_page=2&order={order}"
        while query:
            status, targets, link = await _api(site, people["olga"], query)
            assert status == 200
            seen += targets
            found = re.search(r'audit-log(\?[^>]+)>; rel="next"', link)
            query = found[1] if found else ""
        assert seen == [f"mine-{number}" for number in wanted]
    _, first, link = await _api(site, people["olga"], "?per_page=2")
    after = re.search(r"after=(\d+)", link)
    assert after
    _, _, link = await _api(site, people["olga"], f"?per_page=2&after={after[1]}")
    before = re.search(r"before=(\d+)[^>]*>; rel=\"prev\"", link)
    assert before
    assert (await _api(site, people["olga"], f"?per_page=2&before={before[1]}"))[1] == first


@pytest.mark.parametrize("query", ["?after=x", "?before=-1", "?phrase=created:never"])
async def test_what_cannot_be_understood_is_refused(site: Forge, query: str) -> None:
    people = await _prepare(site)
    assert (await _api(site, people["olga"], query))[0] == 422


async def test_an_entry_names_its_repository(site: Forge) -> None:
    people = await _prepare(site)
    answer = await site.api(await site.token(people["olga"].account, "admin:org")).get(API)
    assert answer.json()[1]["repo"] == "stones/engine"
    assert "repo" not in answer.json()[0]


async def test_what_was_transferred_away_is_named_to_its_old_owners_no_more(site: Forge) -> None:
    """Its log keeps the entries; what the repository is called now is its new owner's to tell."""
    people = await _prepare(site)
    async with site.database.write() as session:
        repository = await session.scalar(select(Repository).where(Repository.name == "engine"))
        assert repository is not None
        repository.owner_id, repository.name, repository.name_key = people["eve"].account.id, "hush", "hush"
    answer = await site.api(await site.token(people["olga"].account, "admin:org")).get(API)
    page = await site.browser(people["olga"]).get(PAGE)
    assert (answer.json()[1]["action"], "repo" in answer.json()[1]) == ("repository.update", False)
    assert ("hush" in answer.text, "hush" in page.text) == (False, False)
