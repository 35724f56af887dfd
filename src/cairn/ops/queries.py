"""What the health and metrics pages read from the database."""

from dataclasses import dataclass

from sqlalchemy import func, select

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.models import Job, JobState

_SHOWN = (JobState.WAITING, JobState.RUNNING, JobState.DEAD)


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Jobs by state, and for how long the oldest that could run has been waiting."""

    by_state: dict[str, int]
    oldest_due_seconds: float


async def count_jobs(database: Database) -> JobCounts:
    """Return how many jobs wait, run and are dead; jobs that are done are many and of no interest here."""
    async with database.read() as session:
        # ix_job_state_due_at
        rows = await session.execute(
            select(Job.state, func.count(), func.min(Job.due_at)).where(Job.state.in_(_SHOWN)).group_by(Job.state)
        )
        found = {JobState(state): (count, due_at) for state, count, due_at in rows}
        now = await database_now(session)
    waiting = found.get(JobState.WAITING)
    age = 0.0 if waiting is None else max(0.0, (now - waiting[1]).total_seconds())
    return JobCounts({state.value: found[state][0] if state in found else 0 for state in _SHOWN}, age)
