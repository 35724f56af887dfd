"""Who stands in commits that are made for somebody."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import update
from tests.factories.accounts import actor_of, make_account

from cairn.base.actor import SYSTEM
from cairn.db.database import Database
from cairn.identity.commit_authors import EmailNotYours, NoAuthor, commit_author, commit_emails
from cairn.identity.models import AccountEmail

AT = datetime(2024, 1, 2, 3, 4, 5, 678, timezone(timedelta(hours=2)))
HOST = "forge.example"


async def test_only_a_verified_address_stands_in_a_commit(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        noreply = f"{alice.id}+alice@"
        signature = await commit_author(session, HOST, actor_of(alice), at=AT)
        assert signature.email.startswith(noreply)
        assert signature.at == AT.replace(microsecond=0)
        assert signature.at.tzinfo is UTC
        with pytest.raises(EmailNotYours, match=r"alice@example\.test"):
            await commit_author(session, HOST, actor_of(alice), at=AT, email="alice@example.test")
        await session.execute(update(AccountEmail).values(verified_at=AT))
        signature = await commit_author(session, HOST, actor_of(alice), at=AT)
        assert (signature.name, signature.email) == ("alice", "alice@example.test")
        emails = await commit_emails(session, HOST, actor_of(alice))
        assert (emails[0], emails[1].startswith(noreply)) == ("alice@example.test", True)


async def test_who_keeps_addresses_private_has_the_noreply_address_only(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        await session.execute(update(AccountEmail).values(verified_at=AT))
        alice.keeps_email_private = True
        await session.flush()
        [only] = await commit_emails(session, HOST, actor_of(alice))
        assert only.startswith(f"{alice.id}+alice@")
        with pytest.raises(EmailNotYours):
            await commit_author(session, HOST, actor_of(alice), at=AT, email="alice@example.test")


async def test_who_is_nobody_has_no_name(database: Database) -> None:
    async with database.write() as session:
        assert await commit_emails(session, HOST, SYSTEM) == []
        with pytest.raises(NoAuthor):
            await commit_author(session, HOST, SYSTEM, at=AT)
