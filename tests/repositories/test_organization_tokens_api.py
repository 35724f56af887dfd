"""GitHub's operations on the fine-grained tokens that reach an organization."""

import re
from datetime import timedelta

import pytest
from tests.factories.company import Company, company

from cairn.access.roles import Visibility
from cairn.base.clock import utc_now
from cairn.identity.tokens import NewToken, create_fine_grained_token
from cairn.repositories.create import NewRepository, create_repository

__all__ = ["company"]

TOKENS = "/orgs/acme/personal-access-tokens"


async def repository(company: Company, name: str) -> int:
    """Return the number of a new private repository of acme."""
    wanted = NewRepository(name=name, owner="acme", visibility=Visibility.PRIVATE)
    made = await create_repository(
        company.forge.database, company.forge.engine, company.forge.people["olga"].actor, wanted
    )
    return made.id


async def token(
    company: Company, login: str, name: str, *, repository_ids: frozenset[int] | None = None, **permissions: str
) -> NewToken:
    """Return a new token for acme."""
    person = company.forge.people[login]
    async with company.forge.database.write() as session:
        return await create_fine_grained_token(
            session,
            person.actor,
            person.account.id,
            name=name,
            owner_id=company.id,
            permissions=permissions,
            repository_ids=repository_ids,
            expires_at=utc_now() + timedelta(days=30) if name == "ci" else None,
        )


async def test_owners_see_whose_what_where_and_how_long(company: Company) -> None:
    engine = await repository(company, "engine")
    made = await token(
        company, "max", "ci", repository_ids=frozenset({engine}), contents="write", members="read", issues="read"
    )
    [one] = (await company.api("olga").get(TOKENS)).json()
    assert one["owner"]["login"] == "max"
    assert (one["id"], one["token_id"], one["token_name"]) == (made.row.id, made.row.id, "ci")
    assert one["repository_selection"] == "subset"
    assert one["permissions"] == {
        "organization": {"members": "read"},
        "repository": {"contents": "write", "issues": "read", "metadata": "read"},
        "other": {},
    }
    assert (one["token_expired"], one["token_last_used_at"]) == (False, None)
    for name in ("access_granted_at", "token_expires_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one[name])
    reached = one["repositories_url"].removeprefix(company.forge.running.settings.origin + "/api/v3")
    assert [found["full_name"] for found in (await company.api("olga").get(reached)).json()] == ["acme/engine"]
    assert made.secret not in (await company.api("olga").get(TOKENS)).text


async def test_only_owners_may(company: Company) -> None:
    made = await token(company, "max", "ci")
    for method, path, body in (
        ("GET", TOKENS, None),
        ("GET", f"{TOKENS}/{made.row.id}/repositories", None),
        ("POST", f"{TOKENS}/{made.row.id}", {"action": "revoke"}),
        ("POST", TOKENS, {"action": "revoke", "pat_ids": [made.row.id]}),
    ):
        found = await company.statuses(method, path, "max", "mia", "sam", "sue", "anonymous", "narrow", json=body)
        assert found == {"max": 403, "mia": 403, "sam": 403, "sue": 403, "anonymous": 401, "narrow": 403}, path
    assert len((await company.api("root").get(TOKENS)).json()) == 1


async def test_what_a_token_reaches_follows_its_choice(company: Company) -> None:
    await repository(company, "engine")
    await repository(company, "notes")
    for name, ids, wanted in (("all", None, ["acme/engine", "acme/notes"]), ("public", frozenset[int](), [])):
        made = await token(company, "max", name, repository_ids=ids)
        found = (await company.api("olga").get(f"{TOKENS}/{made.row.id}/repositories")).json()
        assert [one["full_name"] for one in found] == wanted
    assert (await company.api("olga").get(f"{TOKENS}/999999/repositories")).status_code == 404


async def test_the_query_keeps_some(company: Company) -> None:
    engine = await repository(company, "engine")
    notes = await repository(company, "notes")
    first = await token(company, "max", "one", repository_ids=frozenset({engine}), contents="read")
    await token(company, "mia", "two", repository_ids=frozenset({notes}), issues="write")
    await token(company, "olga", "three")
    for query, names in (
        ("", "three two one"),
        ("?direction=asc&sort=created_at", "one two three"),
        ("?owner[]=max&owner[]=mia", "two one"),
        ("?owner=MAX", "one"),
        ("?owner[]=%00", ""),
        ("?repository=engine", "three one"),
        ("?repository=absent", ""),
        ("?permission=issues", "two"),
        (f"?token_id[]={first.row.id}", "one"),
        ("?last_used_before=2024-01-02T03:04:05Z", ""),
        ("?per_page=2&page=2", "one"),
    ):
        found = await company.api("olga").get(TOKENS + query)
        assert [one["token_name"] for one in found.json()] == names.split(), query


@pytest.mark.parametrize(
    "query",
    [
        "sort=name",
        "direction=up",
        "permission=everything",
        "token_id[]=x",
        "token_id=\u0665",
        "last_used_after=yesterday",
        "&".join(f"owner[]=p{number}" for number in range(11)),
    ],
)
async def test_a_filter_that_means_nothing_is_refused(company: Company, query: str) -> None:
    assert (await company.api("olga").get(f"{TOKENS}?{query}")).status_code == 422


async def test_access_is_revoked_one_by_one_or_together(company: Company) -> None:
    await repository(company, "engine")
    made = [await token(company, "max", name, contents="read") for name in ("a", "b", "c")]
    ids = [one.row.id for one in made]
    olga = company.api("olga")

    async def reach() -> list[int]:
        answers = [await company.forge.api(one.secret).get("/repos/acme/engine") for one in made]
        return [answer.status_code for answer in answers]

    assert await reach() == [200, 200, 200]
    assert (await olga.call("POST", f"{TOKENS}/{ids[0]}", json={"action": "revoke"})).status_code == 204
    assert await reach() == [404, 200, 200]
    assert (await olga.call("POST", f"{TOKENS}/{ids[0]}", json={"action": "revoke"})).status_code == 404
    together = {"action": "revoke", "pat_ids": ids[1:]}
    assert (await olga.call("POST", TOKENS, json=together | {"pat_ids": ids})).status_code == 404
    assert await reach() == [404, 200, 200]
    done = await olga.call("POST", TOKENS, json=together)
    assert (done.status_code, done.json()) == (202, {})
    assert await reach() == [404, 404, 404]
    assert (await olga.get(TOKENS)).json() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "revoke"},
        {"action": "revoke", "pat_ids": []},
        {"action": "revoke", "pat_ids": [0]},
        {"action": "revoke", "pat_ids": ["1"]},
        {"action": "revoke", "pat_ids": list(range(1, 102))},
        {"action": "approve", "pat_ids": [1]},
    ],
)
async def test_a_change_that_is_none_is_refused(company: Company, body: dict[str, object]) -> None:
    assert (await company.api("olga").call("POST", TOKENS, json=body)).status_code == 422
