"""Events are kept for 30 days: for whoever follows them and for support, not as history (the audit log is that)."""

from datetime import timedelta

from sqlalchemy import delete, select

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled

RETENTION = timedelta(days=30)
BATCH_ROWS = 1000


async def delete_old(database: Database) -> int:
    """Delete the events older than ``RETENTION``, in batches; return how many."""
    deleted = 0
    while True:
        async with database.write() as session:
            limit = await database_now(session, plus=-RETENTION)
            # Index: ix_event_at.
            query = select(EventRow.id).where(EventRow.at < limit).order_by(EventRow.at).limit(BATCH_ROWS)
            ids = (await session.scalars(query)).all()
            await session.execute(delete(EventRow).where(EventRow.id.in_(ids)))
        deleted += len(ids)
        if len(ids) < BATCH_ROWS:
            return deleted


@scheduled("events.retention", every=timedelta(hours=1))
async def keep_retention(context: JobContext) -> None:
    """Delete what is older than the retention of events."""
    await delete_old(context.database)
