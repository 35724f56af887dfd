"""Tokens of both kinds through the pages: made, shown once, changed, regenerated, within the policy."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.organizations import make_organization
from tests.identity.web_support import People, open_people
from tests.web.support import Browser

from cairn.db.database import Database
from cairn.identity.models import Account, Token
from cairn.identity.token_pages import lifetimes_within
from cairn.web.context import Site

NEW = "/settings/tokens/fine-grained/new"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        ada = await opened.account("ada")
        assert ada.account_id is not None
        opened.repositories.owned[ada.account_id] = [(11, "engine"), (12, "loom")]
        yield opened


@pytest.fixture
async def ada(people: People) -> Browser:
    return await people.signed_in("ada")


def secret_of(text: str) -> str:
    found = re.search(r'value="(crn_\w{36})"', text)
    assert found, text
    return found[1]


async def token_row(people: People) -> Token:
    async with people.database.read() as session:
        return (await session.scalars(select(Token).order_by(Token.id.desc()))).first()  # type: ignore[return-value]  # there is one


def test_lifetimes_keep_to_a_bound_and_offer_it() -> None:
    assert [value for value, _ in lifetimes_within(0)] == ["7", "30", "90", "365", "never"]
    assert lifetimes_within(30) == [("7", "7 days"), ("30", "30 days")]
    assert lifetimes_within(45)[-1] == ("45", "45 days")
    assert lifetimes_within(1) == [("1", "1 day")]


async def test_a_fine_grained_token_is_made_as_chosen_and_shown_once(ada: Browser, people: People) -> None:
    fields = {"owner": "ada", "name": "ci", "lifetime": "30", "reach": "chosen", "search": "eng", "step": "find",
              "permissions": ["contents:write", "", "issues:read"]}  # fmt: skip
    found = await ada.submit(NEW, fields, page=NEW)
    assert found.status_code == 200
    assert "ada/engine" in found.text
    assert "ada/loom" not in found.text
    assert '<option value="contents:write" selected>' in found.text
    assert 'value="ci"' in found.text
    made = await ada.submit(NEW, fields | {"step": "save", "repository_ids": ["11"]}, page=NEW)
    secret = secret_of(made.text)
    row = await token_row(people)
    assert (row.permissions, row.repository_ids, row.scopes) == ({"contents": "write", "issues": "read"}, [11], [])
    assert row.expires_at is not None
    page = (await ada.get("/settings/tokens")).text
    assert secret not in page
    assert "Fine-grained" in page
    assert "1 chosen repository" in page
    assert (await people.program(secret).get("/api/v3/user")).status_code == 200


async def test_lifetimes_count_from_the_databases_clock(
    ada: Browser, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node whose clock is days off makes tokens that live as long as they should, and calls none expired."""
    monkeypatch.setattr(Site, "clock", property(lambda _: lambda: datetime.now(UTC) + timedelta(days=9)))
    fields = {"owner": "ada", "name": "ci", "lifetime": "7", "reach": "all", "step": "save",
              "permissions": ["contents:read"]}  # fmt: skip
    made = await ada.submit(NEW, fields, page=NEW)
    secret_of(made.text)
    row = await token_row(people)
    assert row.expires_at is not None
    assert abs(row.expires_at - row.created_at - timedelta(days=7)) < timedelta(minutes=1)
    assert "Expired" not in (await ada.get("/settings/tokens")).text


async def test_what_cannot_be_chosen_comes_back_with_the_reason(ada: Browser) -> None:
    fields = {"owner": "ada", "name": "ci", "reach": "chosen", "permissions": ["contents:write"]}
    for wrong, said in (
        ({}, "Choose at least one repository"),
        ({"reach": "all", "name": ""}, "The token needs a name."),
        ({"reach": "all", "permissions": ["members:read"]}, "is only for tokens whose resource owner is"),
        ({"reach": "all", "permissions": ["contents:own"]}, "is no permission a token can carry"),
    ):
        answer = await ada.submit(NEW, fields | wrong, page=NEW)
        assert answer.status_code == 422, wrong
        assert said in answer.text, wrong
    assert (await ada.get(f"{NEW}?owner=nobody")).status_code == 404


@pytest.mark.parametrize("number", ["9223372036854775808", "9" * 5000, "-1", "zwei"])
async def test_what_is_no_repositorys_number_is_refused(ada: Browser, people: People, number: str) -> None:
    fields = {"owner": "ada", "name": "ci", "reach": "chosen", "repository_ids": [number]}
    for step in ("find", "save"):
        assert (await ada.submit(NEW, fields | {"step": step}, page=NEW)).status_code == 422, step
    assert people.repositories.asked_for <= {frozenset()}


async def test_a_member_makes_a_token_for_their_organization(ada: Browser, people: People) -> None:
    async with people.database.write() as session:
        account = (await session.scalars(select(Account).where(Account.login == "ada"))).one()
        guild = await make_organization(session, "guild", owner=account)
    page = f"{NEW}?owner=Guild"
    assert "Members" in (await ada.get(page)).text
    fields = {"owner": "guild", "name": "bot", "reach": "all", "permissions": ["members:read"]}
    assert (await ada.submit(NEW, fields, page=page)).status_code == 200
    row = await token_row(people)
    assert (row.owner_id, row.repository_ids, row.permissions) == (guild.id, None, {"members": "read"})


async def test_rights_are_changed_and_the_secret_stays(ada: Browser, people: People) -> None:
    made = await ada.submit(NEW, {"owner": "ada", "name": "ci", "reach": "public", "permissions": []}, page=NEW)
    secret, row = secret_of(made.text), await token_row(people)
    page = f"/settings/tokens/{row.id}"
    fields = {"owner": "ada", "reach": "all", "permissions": ["git_ssh_keys:read"]}
    assert (await people.program(secret).get("/api/v3/user/keys")).status_code == 403
    assert (await ada.submit(page, fields, page=page)).status_code == 303
    assert (await people.program(secret).get("/api/v3/user/keys")).status_code == 200
    await ada.submit("/settings/tokens/new", {"name": "classic", "lifetime": "7", "scopes": "gist"})
    classic = await token_row(people)
    page = f"/settings/tokens/{classic.id}"
    assert (await ada.submit(page, {"scopes": ["repo", "user"]}, page=page)).status_code == 303
    assert (await token_row(people)).scopes == ["repo", "user"]
    await people.account("bob")
    bob = await people.signed_in("bob")
    assert (await bob.get(page)).status_code == 404


async def test_a_regenerated_token_is_shown_once_and_the_old_one_is_dead(ada: Browser, people: People) -> None:
    made = await ada.submit("/settings/tokens/new", {"name": "laptop", "lifetime": "7", "scopes": "repo"})
    old, row = secret_of(made.text), await token_row(people)
    fields = {"id": str(row.id), "lifetime": "30"}
    again = await ada.submit("/settings/tokens/regenerate", fields, page="/settings/tokens")
    new = secret_of(again.text)
    assert (await people.program(old).get("/api/v3/user")).status_code == 401
    assert (await people.program(new).get("/api/v3/user")).status_code == 200
