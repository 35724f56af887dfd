"""Claiming jobs and giving them back: done, failed, or untouched. Only the database's clock counts."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, Select, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.db.clock import database_now
from cairn.db.database import announce
from cairn.jobs.context import LeaseLost, lock_held
from cairn.jobs.models import Job, JobState
from cairn.jobs.queue import TOPIC
from cairn.jobs.registry import Handler, Registry

BACKOFF_SECONDS = 5
BACKOFF_SECONDS_MAX = 3600
ERROR_LENGTH_MAX = 8000


@dataclass(frozen=True, slots=True)
class Claim:
    """A job this process holds until its lease ends; ``fencing`` is higher than that of every holder before."""

    job_id: int
    handler: Handler
    payload: dict[str, object]
    fencing: int
    attempt: int


async def is_any_due(session: AsyncSession, registry: Registry) -> bool:
    """Tell whether ``claim`` would find something: on SQLite a claim that finds nothing would take the write lock."""
    moment = await database_now(session)
    waiting = select(_due(registry, JobState.WAITING, moment).limit(1).exists())
    running = select(_due(registry, JobState.RUNNING, moment).limit(1).exists())
    return bool(await session.scalar(waiting) or await session.scalar(running))


async def claim(session: AsyncSession, registry: Registry, *, holder: str, limit: int) -> list[Claim]:
    """Take at most ``limit`` due jobs, and those whose holder fell silent; nobody else gets them until the lease ends.

    Two claims never meet: each skips the rows the other has locked. A job whose last attempt fell silent is dead.
    """
    moment = await database_now(session)
    claims: list[Claim] = []
    for state in (JobState.WAITING, JobState.RUNNING):
        query = _due(registry, state, moment).limit(limit - len(claims)).with_for_update(skip_locked=True)
        for job in (await session.scalars(query)).all() if len(claims) < limit else ():
            handler = registry[job.kind]
            if state is JobState.RUNNING and job.attempts >= handler.attempts_max:
                job.state, job.last_error = JobState.DEAD, f"The worker fell silent during attempt {job.attempts}."
                await _let_go(session, job)
                continue
            job.state, job.holder = JobState.RUNNING, holder
            job.fencing += 1
            job.attempts += 1
            job.due_at = moment + timedelta(seconds=handler.lease_seconds)
            claims.append(Claim(job.id, handler, job.payload, job.fencing, job.attempts))
    await session.flush()
    return claims


def _due(registry: Registry, state: JobState, moment: datetime) -> Select[Job]:
    """Index: ``ix_job_state_due_at``; ``ix_job_sequence_state_id`` for the question about earlier ones."""
    return (
        select(Job)
        .where(Job.state == state, Job.due_at <= moment, Job.kind.in_(list(registry.kinds)), _is_its_turn())
        .order_by(Job.due_at, Job.id)
    )


def _is_its_turn() -> ColumnElement[bool]:
    earlier = aliased(Job)
    unfinished = earlier.state.in_([JobState.WAITING, JobState.RUNNING])
    return or_(
        Job.sequence.is_(None), ~exists().where(earlier.sequence == Job.sequence, unfinished, earlier.id < Job.id)
    )


async def renew(session: AsyncSession, held: Claim) -> None:
    """Make the lease last its full length from now; LeaseLost if it is no longer held."""
    ends = await database_now(session, plus=timedelta(seconds=held.handler.lease_seconds))
    result = await session.execute(
        update(Job)
        .where(Job.id == held.job_id, Job.fencing == held.fencing, Job.state == JobState.RUNNING)
        .values(due_at=ends)
    )
    assert isinstance(result, CursorResult)
    if result.rowcount == 0:
        raise LeaseLost(f"Job {held.job_id} is no longer held under fencing number {held.fencing}.")


async def finish(session: AsyncSession, held: Claim) -> None:
    """Note that the job is done; LeaseLost if it is no longer held."""
    job = await lock_held(session, held.job_id, held.fencing)
    job.state, job.last_error = JobState.DONE, None
    await _let_go(session, job)


async def fail(session: AsyncSession, held: Claim, error: str) -> bool:
    """Let the job wait for its next attempt, or be dead after the last (then return True); LeaseLost as above.

    The pause doubles from 5 s to an hour, within half and one and a half of it at random.
    """
    job = await lock_held(session, held.job_id, held.fencing)
    if job.attempts >= held.handler.attempts_max:
        job.state, job.last_error = JobState.DEAD, error[:ERROR_LENGTH_MAX]
        await _let_go(session, job)
        return True
    pause = min(BACKOFF_SECONDS * 2 ** (job.attempts - 1), BACKOFF_SECONDS_MAX) * random.uniform(0.5, 1.5)  # noqa: S311
    job.state, job.holder, job.last_error = JobState.WAITING, None, error[:ERROR_LENGTH_MAX]
    job.due_at = await database_now(session, plus=timedelta(seconds=pause))
    return False


async def release(session: AsyncSession, held: Claim) -> None:
    """Give back a job that was cut short by the program's end, as if it had not been tried."""
    job = await lock_held(session, held.job_id, held.fencing)
    job.state, job.holder, job.due_at = JobState.WAITING, None, await database_now(session)
    job.attempts -= 1
    announce(session, TOPIC)


async def _let_go(session: AsyncSession, job: Job) -> None:
    """Free the key of a job that has ended; if it was enqueued again meanwhile, that is a new job, due now."""
    key, is_wanted_again = job.unique_key, job.run_again
    moment = await database_now(session)
    job.unique_key, job.run_again, job.holder, job.finished_at = None, False, None, moment
    await session.flush()  # the key must be free before the next row takes it
    if is_wanted_again:
        session.add(
            Job(
                kind=job.kind,
                payload=job.payload,
                unique_key=key,
                run_again=False,
                sequence=job.sequence,
                state=JobState.WAITING,
                due_at=moment,
                attempts=0,
                fencing=0,
                created_at=moment,
            )
        )
    announce(session, TOPIC)
