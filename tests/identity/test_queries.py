"""Reading accounts: profiles are public, addresses are not."""

import pytest
from tests.factories.accounts import actor_of, make_account, with_token

from cairn.base.actor import ANONYMOUS, SYSTEM
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity.queries import list_accounts, list_emails, primary_email, read_profile


async def test_anybody_reads_a_profile_by_name_in_any_case(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "Alice")
        found = await read_profile(session, ANONYMOUS, "aLiCe")
        assert (found.id, found.login) == (alice.id, "Alice")
        assert "@" not in str(found)
        for name in ("nobody", "", "a/b", "alice\x00", "é"):
            with pytest.raises(NotFound):
                await read_profile(session, ANONYMOUS, name)


async def test_addresses_are_for_their_owner(database: Database) -> None:
    async with database.write() as session:
        alice, other = await make_account(session, "alice"), await make_account(session)
        [email] = await list_emails(session, with_token(actor_of(alice), "user:email"), alice.id)
        assert (email.email, email.is_primary, email.is_verified) == ("alice@example.test", True, False)
        assert await primary_email(session, alice.id) == "alice@example.test"
        for actor, error in (
            (ANONYMOUS, Unauthenticated),
            (actor_of(other), Forbidden),
            (with_token(actor_of(alice), "repo"), Forbidden),
        ):
            with pytest.raises(error):
                await list_emails(session, actor, alice.id)


async def test_administrators_list_accounts_page_by_page(database: Database) -> None:
    async with database.write() as session:
        accounts = [await make_account(session) for _ in range(3)]
        first = await list_accounts(session, SYSTEM, limit=2)
        rest = await list_accounts(session, SYSTEM, after_id=first[-1].id, limit=2)
        assert [row.id for row in [*first, *rest]] == [account.id for account in accounts]
        assert first[0].email == f"{accounts[0].login}@example.test"
        with pytest.raises(NotFound):
            await list_accounts(session, actor_of(accounts[0]))
