"""What the health, metrics and audit pages read from the database."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import Account
from cairn.jobs.models import Job, JobState
from cairn.repositories.models import Repository

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


async def repository_names(
    session: AsyncSession, ids: Collection[int], *, owner_id: int | None = None
) -> dict[int, str]:
    """Return the full names of the repositories that still are; for at most a page of ids. Primary keys.

    With ``owner_id`` only of those that still are this account's: what was transferred away is not its owners' to name.
    """
    query = (
        select(Repository.id, Account.login, Repository.name)
        .join(Account, Account.id == Repository.owner_id)
        .where(Repository.id.in_(ids), Repository.is_deleted.is_(False))
    )
    if owner_id is not None:
        query = query.where(Repository.owner_id == owner_id)
    rows = await session.execute(query)
    return {repository_id: f"{login}/{name}" for repository_id, login, name in rows}


async def find_repository_id(session: AsyncSession, full_name: str, owner_id: int) -> int | None:
    """Return the id of this owner's repository ``owner/name``. uq_repository_owner_id_name_key."""
    owner, _, name = full_name.lower().partition("/")
    return await session.scalar(
        select(Repository.id)
        .join(Account, Account.id == Repository.owner_id)
        .where(Repository.owner_id == owner_id, Repository.name_key == name, Account.login_key == owner)
    )
