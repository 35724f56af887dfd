"""Changing a name and deleting an account through the pages."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.factories.authentication import PASSWORD
from tests.identity.web_support import People, open_people
from tests.web.support import Browser

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import Account, Session

PATH = "/settings/account"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def ada(people: People) -> Browser:
    await people.account("ada")
    return await people.signed_in("ada")


async def logins(people: People) -> list[str]:
    async with people.database.read() as session:
        return list(await session.scalars(select(Account.login).order_by(Account.id)))


async def test_a_name_is_changed_and_the_session_goes_on(ada: Browser, people: People) -> None:
    answer = await ada.submit(f"{PATH}/name", {"login": "lovelace"}, page=PATH)
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    assert "You are lovelace from now on." in (await ada.get(PATH)).text
    assert await logins(people) == ["lovelace"]


async def test_a_name_that_cannot_be_had_comes_back(ada: Browser, people: People) -> None:
    await people.account("bob")
    for login in ("bob", "admin", ""):
        answer = await ada.submit(f"{PATH}/name", {"login": login}, page=PATH)
        assert answer.status_code == 422
        assert "problem" in answer.text
    for number in range(3):
        await ada.submit(f"{PATH}/name", {"login": f"ada-{number}"}, page=PATH)
    answer = await ada.submit(f"{PATH}/name", {"login": "ada-9"}, page=PATH)
    assert answer.status_code == 429
    assert "at most 3 times in 30 days" in answer.text
    assert await logins(people) == ["ada-2", "bob"]


async def test_an_account_is_deleted_once_its_name_was_typed(ada: Browser, people: People) -> None:
    answer = await ada.submit(f"{PATH}/delete", {"typed": "Ada"}, page=PATH)
    assert answer.status_code == 422
    assert "Type the name exactly" in answer.text
    answer = await ada.submit(f"{PATH}/delete", {"typed": "ada"}, page=PATH)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await ada.get(PATH)).status_code == 303
    assert [login.startswith("ghost-") for login in await logins(people)] == [True]
    assert (await people.browser().submit("/login", {"name": "ada", "password": PASSWORD})).status_code == 422


async def test_repositories_are_named_and_go_along_if_wanted(ada: Browser, people: People) -> None:
    async with people.database.read() as session:
        account_id = await session.scalar(select(Account.id))
    assert account_id is not None
    people.repositories.owned[account_id] = [(1, "engine"), (2, "notes")]
    assert "engine, notes" in (await ada.get(PATH)).text
    answer = await ada.submit(f"{PATH}/delete", {"typed": "ada"}, page=PATH)
    assert answer.status_code == 422
    assert "owns 2 repositories" in answer.text
    answer = await ada.submit(f"{PATH}/delete", {"typed": "ada", "with_repositories": "true"}, page=PATH)
    assert answer.status_code == 303
    assert people.repositories.owned[account_id] == []


async def test_both_want_a_fresh_proof_and_go_on_with_it(ada: Browser, people: People) -> None:
    async with people.database.write() as session:
        old = await database_now(session, plus=-timedelta(hours=2))
        await session.execute(update(Session).values(proved_at=old))
    answer = await ada.submit(f"{PATH}/delete", {"typed": "ada"}, page=PATH)
    assert answer.status_code == 403
    assert "Confirm it is you" in answer.text
    assert await logins(people) == ["ada"]
    answer = await ada.submit(f"{PATH}/delete", {"typed": "ada", "sudo_password": PASSWORD}, page=PATH)
    assert answer.status_code == 303
    assert await logins(people) != ["ada"]


async def test_no_token_changes_a_name_or_ends_an_account(people: People) -> None:
    ada = await people.account("ada")
    program = people.program(await people.token(ada, "user", "repo", "delete_repo"))
    for path in ("name", "delete"):
        answer = await program.post(f"{PATH}/{path}", data={"typed": "ada", "login": "x"})
        assert answer.status_code == 403
    assert await logins(people) == ["ada"]
