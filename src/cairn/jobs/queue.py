"""Enqueueing jobs, looking at the queue, and what an administrator may do with dead jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import CursorResult, Insert, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now, now
from cairn.db.database import announce
from cairn.jobs.models import Job, JobState

TOPIC = "jobs"
"""What is announced when a job becomes due."""
PAYLOAD_BYTES_MAX = 64 << 10
KIND_LENGTH_MAX = 100
KEY_LENGTH_MAX = 200

Payload = Mapping[str, object] | msgspec.Struct


def new_job(kind: str, payload: Payload, *, sequence: str | None = None) -> Job:
    """Return the row of a job that is due at once, for the caller to add to its session and announce."""
    return Job(**_columns(kind, payload), due_at=now(), sequence=sequence)


async def enqueue(
    session: AsyncSession,
    kind: str,
    payload: Payload,
    *,
    delay: timedelta | None = None,
    unique_key: str | None = None,
    sequence: str | None = None,
) -> int:
    """Write a job in the caller's transaction and return its id; it runs after the commit, at least once.

    ``unique_key``: if an unfinished job has it, nothing is added and that job's id is returned. The key therefore has
    to imply kind and payload. A waiting job absorbs the call (and is due at the sooner time); a running one runs once
    more afterwards, because what it read may be out of date. Either way some run starts after this transaction commits.
    ``sequence``: jobs that share it run one at a time, oldest first; a dead one is passed over.
    """
    assert unique_key is None or len(unique_key) <= KEY_LENGTH_MAX
    assert sequence is None or len(sequence) <= KEY_LENGTH_MAX
    due_at = now() if not delay else await database_now(session, plus=delay)
    announce(session, TOPIC)
    if unique_key is None:
        job = Job(**_columns(kind, payload), due_at=due_at, sequence=sequence)
        session.add(job)
        await session.flush()
        return job.id
    values = _columns(kind, payload) | {"due_at": due_at, "sequence": sequence, "unique_key": unique_key}
    await session.execute(_insert_or_absorb(session.get_bind().dialect.name, values))
    found = await session.scalar(select(Job.id).where(Job.unique_key == unique_key))
    assert found is not None
    return found


def _insert_or_absorb(dialect: str, values: dict[str, Any]) -> Insert:
    """Insert the job, or write to the row that has its key.

    Writing locks that row until the caller commits, so no worker can claim it, read the state from before this
    transaction and finish: a claim skips it, a finish waits for it.
    """
    if dialect == "mysql":
        insert = mysql.insert(Job).values(values)
        return insert.on_duplicate_key_update(_absorbed(insert.inserted.due_at))
    kind = postgresql.insert if dialect == "postgresql" else sqlite.insert
    upsert = kind(Job).values(values)
    return upsert.on_conflict_do_update(index_elements=["unique_key"], set_=_absorbed(upsert.excluded.due_at))


def _absorbed(due_at: Any) -> dict[str, Any]:  # noqa: ANN401 (a column of the row that was refused)
    is_running = Job.state == JobState.RUNNING
    return {
        "run_again": or_(Job.run_again, is_running),
        # Of a running job this is the end of its lease.
        "due_at": case((and_(Job.state == JobState.WAITING, due_at < Job.due_at), due_at), else_=Job.due_at),
    }


def _columns(kind: str, payload: Payload) -> dict[str, Any]:
    assert len(kind) <= KIND_LENGTH_MAX
    size = len(msgspec.json.encode(payload))
    assert size <= PAYLOAD_BYTES_MAX, f"a job's payload holds ids, not {size} bytes"
    return {
        "kind": kind,
        "payload": msgspec.to_builtins(payload, str_keys=True),
        "state": JobState.WAITING,
        "run_again": False,
        "attempts": 0,
        "fencing": 0,
        "created_at": now(),
    }


@dataclass(frozen=True, slots=True)
class Counts:
    """The queue in numbers. ``oldest_due_seconds`` is how long the oldest due job has waited; 0 without one."""

    waiting: int
    running: int
    dead: int
    oldest_due_seconds: float


async def counts(session: AsyncSession) -> Counts:
    """Return the queue in numbers, for the metrics. Index: ``ix_job_state_due_at``."""
    rows = await session.execute(select(Job.state, func.count()).where(Job.state != JobState.DONE).group_by(Job.state))
    found = {JobState(state): count for state, count in rows}
    moment = await database_now(session)
    oldest = await session.scalar(
        select(Job.due_at).where(Job.state == JobState.WAITING, Job.due_at <= moment).order_by(Job.due_at).limit(1)
    )
    return Counts(
        waiting=found.get(JobState.WAITING, 0),
        running=found.get(JobState.RUNNING, 0),
        dead=found.get(JobState.DEAD, 0),
        oldest_due_seconds=(moment - oldest).total_seconds() if oldest else 0.0,
    )


async def dead_jobs(session: AsyncSession, *, limit: int, before_id: int | None = None) -> Sequence[Job]:
    """Return the newest dead jobs, at most ``limit``; ``before_id`` goes on where an earlier page ended."""
    query = select(Job).where(Job.state == JobState.DEAD).order_by(Job.id.desc()).limit(limit)
    return (await session.scalars(query if before_id is None else query.where(Job.id < before_id))).all()


async def retry_dead(session: AsyncSession, job_id: int) -> bool:
    """Let a dead job wait again with all its attempts; False if there is no such dead job."""
    announce(session, TOPIC)
    return await _changed(
        session,
        update(Job)
        .where(Job.id == job_id, Job.state == JobState.DEAD)
        .values(state=JobState.WAITING, due_at=now(), attempts=0, finished_at=None),
    )


async def discard_dead(session: AsyncSession, job_id: int) -> bool:
    """Delete a dead job; False if there is no such dead job."""
    return await _changed(session, delete(Job).where(Job.id == job_id, Job.state == JobState.DEAD))


async def _changed(session: AsyncSession, statement: Any) -> bool:  # noqa: ANN401 (UPDATE or DELETE)
    result = await session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
