"""Addresses over REST, in GitHub's shape."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update
from tests.identity.web_support import People, open_people

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import AccountEmail

EMAILS = "/api/v3/user/emails"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def ada(people: People) -> httpx2.AsyncClient:
    return people.program(await people.token(await people.account("ada"), "user"))


async def remove(client: httpx2.AsyncClient, body: Any) -> httpx2.Response:
    return await client.request("DELETE", EMAILS, json=body)


@pytest.mark.parametrize("wrapped", [True, False], ids=["object", "list"])
async def test_addresses_are_added_and_removed(ada: httpx2.AsyncClient, people: People, wrapped: bool) -> None:
    def body(*emails: str) -> Any:
        return {"emails": list(emails)} if wrapped else list(emails)

    answer = await ada.post(EMAILS, json=body("a@work.test", "b@work.test"))
    assert answer.status_code == 201
    assert answer.json()[0] == {"email": "a@work.test", "primary": False, "verified": False, "visibility": None}
    assert await people.link("b@work.test")
    listed = (await ada.get(EMAILS)).json()
    assert [one["email"] for one in listed] == ["ada@example.test", "a@work.test", "b@work.test"]
    assert (await remove(ada, body("a@work.test", "ada@example.test"))).status_code == 409
    assert len((await ada.get(EMAILS)).json()) == 3, "all or none"
    assert (await remove(ada, body("a@work.test"))).status_code == 204
    assert (await remove(ada, body("a@work.test"))).status_code == 404


async def test_visibility_is_the_primary_addresss(ada: httpx2.AsyncClient, people: People) -> None:
    path = "/api/v3/user/email/visibility"
    refused = await ada.patch(path, json={"visibility": "public"})
    assert refused.status_code == 422, "not verified yet"
    async with people.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=await database_now(session)))
    answer = await ada.patch(path, json={"visibility": "public"})
    assert answer.json() == [{"email": "ada@example.test", "primary": True, "verified": True, "visibility": "public"}]
    assert [one["email"] for one in (await ada.get("/api/v3/user/public_emails")).json()] == ["ada@example.test"]
    assert (await people.program().get("/api/v3/users/ada")).json()["email"] == "ada@example.test"
    await ada.patch(path, json={"visibility": "private"})
    assert (await people.program().get("/api/v3/users/ada")).json()["email"] is None
    assert (await ada.patch(path, json={"visibility": "friends"})).status_code == 422


@pytest.mark.parametrize("body", [[], {"emails": []}, {"emails": ["x"] * 21}, ["nobody"], {}, "a@b.test", [1]])
async def test_what_is_no_list_of_addresses_is_refused(ada: httpx2.AsyncClient, body: Any) -> None:
    assert (await ada.post(EMAILS, json=body)).status_code in {400, 422}
    assert len((await ada.get(EMAILS)).json()) == 1


@pytest.mark.parametrize("scopes", [("repo",), ("read:user",), ("user:email",)])
async def test_a_narrow_token_changes_nothing(people: People, scopes: tuple[str, ...]) -> None:
    narrow = people.program(await people.token(await people.account("ada"), *scopes))
    assert (await narrow.post(EMAILS, json=["a@work.test"])).status_code == 403
    assert (await remove(narrow, ["ada@example.test"])).status_code == 403
    assert (await narrow.get(EMAILS)).status_code == (200 if scopes == ("user:email",) else 403)


async def test_a_visitor_is_asked_for_a_credential(people: People) -> None:
    nobody = people.program()
    assert (await nobody.get(EMAILS)).status_code == 401
    assert (await nobody.post(EMAILS, json=["a@work.test"])).status_code == 401
    assert (await nobody.get("/api/v3/user/public_emails")).status_code == 401


async def test_the_profile_is_changed_in_githubs_words(ada: httpx2.AsyncClient, people: People) -> None:
    sent = {
        "name": "Ada",
        "blog": "ada.test",
        "company": "Engines",
        "location": "London",
        "bio": "Weaves",
    }
    answer = await ada.patch("/api/v3/user", json=sent)
    assert answer.status_code == 200
    seen = (await people.program().get("/api/v3/users/ada")).json()
    assert {name: seen[name] for name in sent} == sent | {"blog": "https://ada.test"}
    assert (await ada.patch("/api/v3/user", json={"email": "nobody@else.test"})).status_code == 422
    assert (await ada.patch("/api/v3/user", json={"blog": "javascript://x"})).status_code == 422


async def test_a_renamed_account_is_found_by_its_number(ada: httpx2.AsyncClient, people: People) -> None:
    browser = await people.signed_in("ada")
    await browser.submit("/settings/account/name", {"login": "lovelace"}, page="/settings/account")
    answer = await people.program().get("/api/v3/users/ada")
    assert answer.status_code == 301
    assert answer.json()["message"] == "Moved Permanently"
    followed = await people.program().get(answer.headers["location"])
    assert followed.json()["login"] == "lovelace"
