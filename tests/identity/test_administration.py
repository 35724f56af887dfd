"""Administrators find people and hand over rights; the last one stays, also when two let go at once."""

import asyncio

import pytest
from sqlalchemy import func, select
from tests.factories.accounts import actor_of, make_account

from cairn.base.actor import SYSTEM
from cairn.base.errors import CairnError, NotFound
from cairn.db.database import Database
from cairn.identity.administration import (
    LastAdministrator,
    find_person,
    rename_person,
    search_accounts,
    set_site_admin,
    sign_out_everywhere,
)
from cairn.identity.models import Account, AccountKind


async def _demote(database: Database, login: str) -> None:
    async with database.write() as session:
        await set_site_admin(session, SYSTEM, login, is_site_admin=False)


async def test_of_two_administrators_who_let_go_at_once_one_stays(any_database: Database) -> None:
    async with any_database.write() as session:
        for login in ("ada", "bob"):
            await make_account(session, login, is_site_admin=True)
    results = await asyncio.gather(_demote(any_database, "ada"), _demote(any_database, "bob"), return_exceptions=True)
    # The loser sees that it would be the last, or the database's lock told it to come again.
    assert sum(result is None for result in results) == 1
    assert all(result is None or isinstance(result, CairnError) for result in results)
    async with any_database.read() as session:
        assert await session.scalar(select(func.count()).where(Account.is_site_admin.is_(True))) == 1


async def test_a_suspended_administrator_does_not_count(database: Database) -> None:
    async with database.write() as session:
        await make_account(session, "ada", is_site_admin=True)
        bob = await make_account(session, "bob", is_site_admin=True)
        bob.suspended_at = bob.created_at
    with pytest.raises(LastAdministrator):
        await _demote(database, "ada")


async def test_lists_hold_one_kind_and_go_on_by_name(any_database: Database) -> None:
    async with any_database.write() as session:
        for login in ("zoe", "ada", "Bob"):
            await make_account(session, login)
        stones = await make_account(session, "stones")
        stones.kind = AccountKind.ORGANIZATION
    async with any_database.read() as session:
        people = await search_accounts(session, SYSTEM, kind=AccountKind.USER)
        rest = await search_accounts(session, SYSTEM, kind=AccountKind.USER, after="ADA", limit=1)
        organizations = await search_accounts(session, SYSTEM, kind=AccountKind.ORGANIZATION)
        with pytest.raises(NotFound):
            await find_person(session, SYSTEM, "stones")
    assert [one.login for one in people] == ["ada", "Bob", "zoe"]
    assert [one.login for one in rest] == ["Bob"]
    assert [one.login for one in organizations] == ["stones"]


async def test_nobody_else_may(database: Database) -> None:
    async with database.write() as session:
        ada = actor_of(await make_account(session, "ada"))
        for work in (
            search_accounts(session, ada, kind=AccountKind.USER),
            find_person(session, ada, "ada"),
            set_site_admin(session, ada, "ada", is_site_admin=True),
            sign_out_everywhere(session, ada, "ada"),
            rename_person(session, ada, "ada", "eve"),
        ):
            with pytest.raises(NotFound):
                await work
