"""Reserved names: for a while or for ever, and not readable."""

import pytest
from sqlalchemy import select

from cairn.db.database import Database
from cairn.identity.models import ReservedLogin
from cairn.identity.names import NameTaken
from cairn.identity.reserved_logins import disown_reserved, require_unreserved, reserve_login


async def test_a_name_is_kept_for_its_account_and_no_other(any_database: Database) -> None:
    async with any_database.write() as session:
        await reserve_login(session, "Ada", account_id=7)
        await require_unreserved(session, "ada", account_id=7)
        await require_unreserved(session, "grace")
        for other in (None, 8):
            with pytest.raises(NameTaken):
                await require_unreserved(session, "ADA", account_id=other)


async def test_a_deleted_accounts_names_are_kept_from_all(any_database: Database) -> None:
    async with any_database.write() as session:
        await reserve_login(session, "old-ada", account_id=7)
        await disown_reserved(session, 7)
        await reserve_login(session, "ada", account_id=None)
        for name in ("ada", "old-ada"):
            with pytest.raises(NameTaken):
                await require_unreserved(session, name, account_id=7)
        rows = (await session.scalars(select(ReservedLogin))).all()
    assert {row.until is None for row in rows} == {True, False}
    assert "ada" not in repr([vars(row) for row in rows])


async def test_a_name_can_be_given_up_again(any_database: Database) -> None:
    async with any_database.write() as session:
        await reserve_login(session, "ada", account_id=7)
    async with any_database.write() as session:
        await reserve_login(session, "ada", account_id=8)
        await require_unreserved(session, "ada", account_id=8)
        with pytest.raises(NameTaken):
            await require_unreserved(session, "ada", account_id=7)
