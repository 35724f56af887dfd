"""What enqueueing promises, on all three databases."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.database import Database, open_database
from cairn.jobs.context import JobContext
from cairn.jobs.lease import Claim, claim, fail, finish
from cairn.jobs.models import Job, JobState
from cairn.jobs.queue import Counts, counts, dead_jobs, discard_dead, enqueue, retry_dead
from cairn.jobs.registry import Registry


class Resize(msgspec.Struct, frozen=True):
    avatar_id: int


async def _nothing(context: JobContext, payload: dict[str, object]) -> None:
    """A job of which only the row matters."""


@pytest.fixture
def jobs() -> Registry:
    registry = Registry()
    registry.handler("resize", attempts_max=2)(_nothing)
    return registry


async def _enqueue(database: Database, **options: object) -> int:
    async with database.write() as session:
        return await enqueue(session, "resize", Resize(7), **options)  # type: ignore[arg-type]  # passed on


async def _claim(database: Database, jobs: Registry, *, limit: int = 10) -> list[Claim]:
    async with database.write() as session:
        return await claim(session, jobs, holder="0" * 32, limit=limit)


async def _finish(database: Database, held: Claim) -> None:
    async with database.write() as session:
        await finish(session, held)


async def _total(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(Job))).scalar_one()


async def test_a_job_exists_only_if_its_transaction_commits(any_database: Database, jobs: Registry) -> None:
    async def change(session: AsyncSession) -> None:
        await enqueue(session, "resize", Resize(7))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await any_database.write_retrying(change)
    assert await _claim(any_database, jobs) == []
    job_id = await _enqueue(any_database)
    [held] = await _claim(any_database, jobs)
    assert (held.job_id, held.payload, held.fencing, held.attempt) == (job_id, {"avatar_id": 7}, 1, 1)


async def test_a_waiting_job_absorbs_its_unique_key_and_keeps_the_sooner_time(
    any_database: Database, jobs: Registry
) -> None:
    first = await _enqueue(any_database, unique_key="avatar/7", delay=timedelta(hours=1))
    assert await _enqueue(any_database, unique_key="avatar/8") != first
    assert await _enqueue(any_database, unique_key="avatar/7") == first
    assert await _enqueue(any_database, unique_key="avatar/7", delay=timedelta(hours=1)) == first
    claimed = await _claim(any_database, jobs)
    assert first in [held.job_id for held in claimed]
    assert len(claimed) == 2


async def test_a_key_enqueued_while_its_job_runs_makes_it_run_once_more(any_database: Database, jobs: Registry) -> None:
    first = await _enqueue(any_database, unique_key="avatar/7")
    [held] = await _claim(any_database, jobs)
    assert await _enqueue(any_database, unique_key="avatar/7") == first
    assert await _enqueue(any_database, unique_key="avatar/7") == first
    assert await _claim(any_database, jobs) == [], "not beside the running one"
    await _finish(any_database, held)
    [again] = await _claim(any_database, jobs)
    # Another job id: what the first landed under its push id must not stand for what the second lands.
    assert again.job_id != first
    await _finish(any_database, again)
    assert await _claim(any_database, jobs) == []
    assert await _enqueue(any_database, unique_key="avatar/7") not in {first, again.job_id}


async def test_a_job_cannot_start_before_a_transaction_that_it_absorbed_commits(
    any_database: Database, jobs: Registry
) -> None:
    await _enqueue(any_database, unique_key="avatar/7")
    other = open_database(any_database.url.render_as_string(hide_password=False), pool_size=2)
    try:
        async with any_database.write() as session:
            await enqueue(session, "resize", Resize(7), unique_key="avatar/7")
            if other.dialect != "sqlite":  # there the second writer waits for the first, whatever it does
                assert await _claim(other, jobs) == []
        assert len(await _claim(other, jobs)) == 1
    finally:
        await other.close()


async def test_many_writers_of_one_key_make_one_job(any_database: Database, jobs: Registry) -> None:
    async def change(session: AsyncSession) -> int:
        return await enqueue(session, "resize", Resize(7), unique_key="avatar/7")

    ids = await asyncio.gather(*(any_database.write_retrying(change) for _ in range(20)))
    assert len(set(ids)) == 1
    async with any_database.read() as session:
        assert await _total(session) == 1


async def test_dead_jobs_are_listed_retried_and_discarded(
    any_database: Database, jobs: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.jobs.lease.BACKOFF_SECONDS", 0)
    job_id = await _enqueue(any_database, unique_key="avatar/7")
    for _ in range(2):
        [held] = await _claim(any_database, jobs)
        async with any_database.write() as session:
            await fail(session, held, "boom")
    async with any_database.read() as session:
        assert [(row.id, row.last_error) for row in await dead_jobs(session, limit=5)] == [(job_id, "boom")]
        assert await dead_jobs(session, limit=5, before_id=job_id) == []
        assert await counts(session) == Counts(waiting=0, running=0, dead=1, oldest_due_seconds=0.0)
    async with any_database.write() as session:
        assert await retry_dead(session, job_id)
        assert not await retry_dead(session, job_id), "it waits already"
    [held] = await _claim(any_database, jobs)
    assert (held.job_id, held.attempt, held.fencing) == (job_id, 1, 3)
    async with any_database.write() as session:
        assert not await discard_dead(session, job_id), "it runs"
        row = (await session.scalars(select(Job))).one()
        row.state = JobState.DEAD
        await session.flush()
        assert await discard_dead(session, job_id)
        assert await _total(session) == 0


async def test_the_age_of_the_queue_is_that_of_the_oldest_due_job(any_database: Database) -> None:
    await _enqueue(any_database, delay=-timedelta(minutes=5))
    await _enqueue(any_database, delay=-timedelta(minutes=1))
    await _enqueue(any_database, delay=timedelta(minutes=5))
    async with any_database.read() as session:
        found = await counts(session)
    assert found.waiting == 3
    assert 300 <= found.oldest_due_seconds < 330
