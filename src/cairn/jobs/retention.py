"""Done jobs go after a week; dead ones stay until an administrator retries or discards them."""

from datetime import timedelta

from sqlalchemy import delete, select

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.context import JobContext
from cairn.jobs.models import Job, JobState
from cairn.jobs.registry import scheduled

RETENTION = timedelta(days=7)
BATCH_ROWS = 1000


async def delete_done(database: Database) -> int:
    """Delete the jobs that were done longer ago than ``RETENTION``, in batches; return how many."""
    deleted = 0
    while True:
        async with database.write() as session:
            limit = await database_now(session, plus=-RETENTION)
            # Index: ix_job_state_finished_at.
            ids = (
                await session.scalars(
                    select(Job.id)
                    .where(Job.state == JobState.DONE, Job.finished_at < limit)
                    .order_by(Job.finished_at)
                    .limit(BATCH_ROWS)
                )
            ).all()
            await session.execute(delete(Job).where(Job.id.in_(ids)))
        deleted += len(ids)
        if len(ids) < BATCH_ROWS:
            return deleted


@scheduled("jobs.retention", every=timedelta(hours=1))
async def keep_retention(context: JobContext) -> None:
    """Delete what is older than the retention of done jobs."""
    await delete_done(context.database)
