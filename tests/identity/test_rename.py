"""Another name: redirects, how often, and that nobody inherits what was meant for the old name."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from tests.factories.accounts import actor_of, make_account, with_token

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, RateLimited, Unauthenticated
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.accounts import sign_up
from cairn.identity.models import Account, AccountRename, ReservedLogin
from cairn.identity.names import LoginInvalid, NameTaken
from cairn.identity.passwords import Passwords
from cairn.identity.queries import AccountMoved, read_profile
from cairn.identity.rename import PERIOD, RENAMES_MAX, rename_account


async def rename(database: Database, account: Account, login: str) -> None:
    async with database.write() as session:
        await rename_account(session, actor_of(account), account.id, login)


async def make(database: Database, login: str) -> Account:
    async with database.write() as session:
        return await make_account(session, login)


async def test_the_old_name_leads_to_the_new_one(any_database: Database) -> None:
    ada = await make(any_database, "ada")
    await rename(any_database, ada, "Lovelace")
    async with any_database.read() as session:
        assert (await read_profile(session, ANONYMOUS, "lovelace")).login == "Lovelace"
        with pytest.raises(AccountMoved) as moved:
            await read_profile(session, ANONYMOUS, "ADA")
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "account.rename"))
    assert (moved.value.login, moved.value.account_id) == ("Lovelace", ada.id)
    assert entry is not None
    assert entry.changes == {"login": ["ada", "Lovelace"]}


async def test_a_chain_of_names_leads_to_the_last_and_back_again(any_database: Database) -> None:
    ada = await make(any_database, "ada")
    await rename(any_database, ada, "ada-2")
    await rename(any_database, ada, "ada-3")
    async with any_database.read() as session:
        for old in ("ada", "ada-2"):
            with pytest.raises(AccountMoved) as moved:
                await read_profile(session, ANONYMOUS, old)
            assert moved.value.login == "ada-3"
    await rename(any_database, ada, "ada")
    async with any_database.read() as session:
        assert (await read_profile(session, ANONYMOUS, "ada")).id == ada.id
        assert sorted(await session.scalars(select(AccountRename.login_key))) == ["ada-2", "ada-3"]


async def test_a_name_given_up_is_nobody_elses_for_ninety_days(any_database: Database) -> None:
    """Mallory waits for a known owner to change names, takes the old one and receives their users' pushes."""
    ada, mallory = await make(any_database, "ada"), await make(any_database, "mallory")
    await rename(any_database, ada, "lovelace")
    with pytest.raises(NameTaken):
        await rename(any_database, mallory, "Ada")
    with pytest.raises(NameTaken):
        await sign_up(any_database, Passwords(), Settings(), login="ADA", email="m@x.test", password="correct horse 1")
    async with any_database.write() as session:
        past = await database_now(session, plus=-timedelta(seconds=1))
        await session.execute(update(ReservedLogin).values(until=past))
    await rename(any_database, mallory, "ada")
    async with any_database.read() as session:
        assert (await read_profile(session, ANONYMOUS, "ada")).id == mallory.id


async def test_a_name_changes_three_times_a_month(database: Database) -> None:
    ada = await make(database, "ada")
    for number in range(RENAMES_MAX):
        await rename(database, ada, f"ada-{number}")
    with pytest.raises(RateLimited) as refused:
        await rename(database, ada, "one-more")
    assert 0 < refused.value.retry_after_seconds <= PERIOD.total_seconds()
    await rename(database, ada, "ADA-2")  # other capitals are free
    async with database.write() as session:
        at = await database_now(session, plus=-PERIOD)
        await session.execute(update(Account).values(renamed_at=at))
    await rename(database, ada, "one-more")


@pytest.mark.parametrize(
    ("login", "error"),
    [("bob", NameTaken), ("BOB", NameTaken), ("admin", LoginInvalid), ("-x", LoginInvalid), ("ghost-7", LoginInvalid)],
)
async def test_not_every_name_can_be_had(database: Database, login: str, error: type[Exception]) -> None:
    ada = await make(database, "ada")
    await make(database, "bob")
    with pytest.raises(error):
        await rename(database, ada, login)
    async with database.read() as session:
        account = await session.get_one(Account, ada.id)
    assert (account.login, account.rename_count) == ("ada", 0)


async def test_only_the_owner_at_the_keyboard_and_administrators_may(database: Database) -> None:
    ada, bob = await make(database, "ada"), await make(database, "bob")
    async with database.write() as session:
        root = actor_of(await make_account(session, "root", is_site_admin=True))
        for actor, error in [
            (ANONYMOUS, Unauthenticated),
            (actor_of(bob), Forbidden),
            (with_token(actor_of(ada), "user", "repo"), Forbidden),
        ]:
            with pytest.raises(error):
                await rename_account(session, actor, ada.id, "other")
        await rename_account(session, root, ada.id, "other")
