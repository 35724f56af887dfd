"""The worker ends what is over: sessions past their time, invitations nobody answered, and nothing else."""

from datetime import timedelta

from sqlalchemy import insert, select
from tests.factories.accounts import make_account
from tests.identity.test_email_addresses import OUTBOX
from tests.identity.test_invitations import cast_of, grow_old

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.invitations import KEPT_UNANSWERED, LIFETIME, invite
from cairn.identity.jobs import delete_expired_sessions, delete_unanswered_invitations
from cairn.identity.models import OrganizationInvitation, Session
from cairn.jobs.context import JobContext
from cairn.jobs.registry import registry


async def test_sessions_past_their_time_are_deleted_and_others_stay(database: Database) -> None:
    async with database.write() as session:
        account = await make_account(session, "ada")
        now = await database_now(session)
        for name, end in (("a" * 64, now - timedelta(seconds=1)), ("b" * 64, now + timedelta(days=1))):
            await session.execute(
                insert(Session).values(
                    cookie_sha256=name,
                    account_id=account.id,
                    created_at=now,
                    last_used_at=now,
                    expires_at=end,
                    address="",
                    user_agent="",
                )
            )

    await delete_expired_sessions(JobContext(database, job_id=1, fencing=1, attempt=1))

    async with database.read() as session:
        assert list(await session.scalars(select(Session.cookie_sha256))) == ["b" * 64]


def test_they_are_deleted_once_a_day() -> None:
    assert registry.schedules["identity.expired_sessions"] == timedelta(days=1)
    assert registry.schedules["identity.unanswered_invitations"] == timedelta(days=1)


async def test_invitations_that_nobody_answered_for_a_month_are_deleted(database: Database) -> None:
    _, guild, owner = await cast_of(database)
    async with database.write() as session:
        await invite(session, OUTBOX, owner, guild, "old@example.test")
        await grow_old(session, LIFETIME + KEPT_UNANSWERED)
        await invite(session, OUTBOX, owner, guild, "new@example.test")

    await delete_unanswered_invitations(JobContext(database, job_id=1, fencing=1, attempt=1))

    async with database.read() as session:
        assert list(await session.scalars(select(OrganizationInvitation.email))) == ["new@example.test"]
