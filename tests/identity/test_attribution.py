"""Commits belong to accounts by verified address, and by nothing else."""

import pytest
from sqlalchemy import Engine, event, update
from tests.factories.accounts import make_account

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.attribution import find_authors
from cairn.identity.emails import noreply_address
from cairn.identity.models import Account, AccountEmail

HOST = "cairn.test"


async def verified(database: Database, login: str) -> Account:
    async with database.write() as session:
        account = await make_account(session, login)
        await session.execute(
            update(AccountEmail)
            .where(AccountEmail.account_id == account.id)
            .values(verified_at=await database_now(session))
        )
    return account


async def test_a_verified_address_names_its_account_however_it_is_written(any_database: Database) -> None:
    ada = await verified(any_database, "ada")
    async with any_database.read() as session:
        authors = await find_authors(session, HOST, ["Ada@Example.TEST", "nobody@example.test", ""])
    found = authors.of("ada@example.test")
    assert found is not None
    assert (found.account_id, found.login) == (ada.id, "ada")
    assert authors.of("ADA@example.test") == found
    assert authors.of("nobody@example.test") is None


async def test_a_claimed_address_names_nobody(database: Database) -> None:
    """Mallory adds the address of a famous author to their own account."""
    async with database.write() as session:
        await make_account(session, "mallory")
    async with database.read() as session:
        assert (await find_authors(session, HOST, ["mallory@example.test"])).of("mallory@example.test") is None


async def test_a_noreply_address_names_its_account_after_a_change_of_name(any_database: Database) -> None:
    ada = await verified(any_database, "ada")
    old = noreply_address(HOST, ada.id, "old-name")
    foreign = noreply_address("elsewhere.test", ada.id, "ada")
    async with any_database.read() as session:
        authors = await find_authors(session, HOST, [old, foreign, "ada@example.test"])
    found = authors.of(old)
    assert found is not None
    assert found.login == "ada"
    assert authors.of(foreign) is None
    assert authors.of("ada@example.test") == found


async def test_a_deleted_account_is_nobodys_author(database: Database) -> None:
    ada = await verified(database, "ada")
    async with database.write() as session:
        await session.execute(update(Account).values(deleted_at=await database_now(session)))
    async with database.read() as session:
        noreply = noreply_address(HOST, ada.id, "ada")
        authors = await find_authors(session, HOST, [noreply, "ada@example.test"])
    assert authors.of(noreply) is None
    assert authors.of("ada@example.test") is None


@pytest.mark.parametrize("count", [0, 1, 100])
async def test_a_whole_page_costs_one_statement(database: Database, count: int) -> None:
    for number in range(min(count, 5)):
        await verified(database, f"person-{number}")
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    emails = [f"person-{number}@example.test" for number in range(count)]
    async with database.read() as session:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            authors = await find_authors(session, HOST, emails)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    assert len([text for text in statements if "SELECT account" in text]) == min(count, 1)
    assert sum(authors.of(email) is not None for email in emails) == min(count, 5)
