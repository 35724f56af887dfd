"""The worker deletes offers that nobody answered in time, however many, and nothing else."""

from datetime import timedelta

from sqlalchemy import select
from tests.factories.accounts import LONG_AGO, make_account
from tests.factories.repositories import make_repository

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.jobs.context import JobContext
from cairn.jobs.registry import registry
from cairn.repositories.models import RepositoryTransfer
from cairn.repositories.transfer_jobs import delete_expired

EXPIRED = 205
"""More than one batch."""


async def test_offers_past_their_time_are_deleted_and_others_stay(database: Database) -> None:
    async with database.write() as session:
        ada, ben = await make_account(session, "ada"), await make_account(session, "ben")
        later = await database_now(session, plus=timedelta(days=1))
        kept = 0
        for number in range(EXPIRED + 1):
            repository = await make_repository(session, ada)
            session.add(
                RepositoryTransfer(
                    repository_id=repository.id,
                    new_owner_id=ben.id,
                    new_name="",
                    asked_by_id=ada.id,
                    created_at=LONG_AGO,
                    expires_at=LONG_AGO if number else later,
                )
            )
            kept = kept if number else repository.id
    await delete_expired(JobContext(database, job_id=1, fencing=1, attempt=1))
    async with database.read() as session:
        assert list(await session.scalars(select(RepositoryTransfer.repository_id))) == [kept]
        told = (await session.scalars(select(EventRow.payload).where(EventRow.type == "transfer_closed"))).all()
        assert [event["outcome"] for event in told] == ["expired"] * EXPIRED


def test_they_are_deleted_every_hour() -> None:
    assert registry.schedules["repositories.expired_transfers"] == timedelta(hours=1)
