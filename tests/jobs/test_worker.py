"""What the worker promises, on all three databases: once each, never twice by a stale holder, nothing lost."""

import asyncio
from collections import Counter
from datetime import datetime

import pytest
from sqlalchemy import text, update
from tests.jobs.conftest import job, until, working
from tests.services.ports import eventually
from tests.services.redis import RedisServer

from cairn.base.clock import utc_now
from cairn.db.database import Database, open_database
from cairn.jobs.context import JobContext
from cairn.jobs.models import Job, JobState
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import Registry

LONG_AGO = utc_now().replace(year=2020)


async def _enqueue(database: Database, kind: str = "work", **payload: object) -> int:
    async with database.write() as session:
        return await enqueue(session, kind, payload)


async def test_two_workers_do_two_hundred_jobs_once_each(any_database: Database, jobs: Registry) -> None:
    done: Counter[int] = Counter()

    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, int]) -> None:
        await asyncio.sleep(0)
        done[payload["number"]] += 1

    async with any_database.write() as session:
        for number in range(200):
            await enqueue(session, "work", {"number": number})
    other = open_database(any_database.url.render_as_string(hide_password=False), pool_size=5)

    async def all_done() -> bool:
        return len(done) == 200

    try:
        async with working(any_database, jobs), working(other, jobs):
            await eventually(all_done, within_seconds=60, what="all jobs are done")
    finally:
        await other.close()
    assert set(done.values()) == {1}
    async with any_database.read() as session:
        states = (
            await session.execute(text("SELECT state, attempts, count(*) FROM job GROUP BY state, attempts"))
        ).all()
    assert [tuple(row) for row in states] == [("done", 1, 200)]


async def test_a_committed_job_wakes_the_worker_of_the_same_process_at_once(
    database: Database, jobs: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.jobs.worker.POLL_SECONDS", 3600)
    ran = asyncio.Event()

    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        ran.set()

    async with working(database, jobs):
        await asyncio.sleep(0)
        await _enqueue(database)
        await asyncio.wait_for(ran.wait(), 10)


async def test_a_heartbeat_keeps_a_long_job_and_its_loss_ends_the_attempt(
    database: Database, jobs: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beats come often beside a lease that no busy machine outlasts."""
    monkeypatch.setattr("cairn.jobs.worker._BEATS_PER_LEASE", 6000)
    started, ended = asyncio.Event(), asyncio.Event()
    ends: set[datetime] = set()

    @jobs.handler("work", lease_seconds=600)
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with working(database, jobs):
        job_id = await _enqueue(database)
        await asyncio.wait_for(started.wait(), 10)

        async def has_moved_its_lease_on_five_times() -> bool:
            ends.add((await job(database, job_id)).due_at)
            return len(ends) > 5

        await eventually(has_moved_its_lease_on_five_times, within_seconds=20, what="five heartbeats")
        row = await job(database, job_id)
        assert (row.state, row.fencing) == (JobState.RUNNING, 1)
        assert row.due_at >= max(ends) > min(ends)
        async with database.write() as session:
            await session.execute(update(Job).where(Job.id == job_id).values(fencing=7, state="done"))
        await asyncio.wait_for(ended.wait(), 10)
    assert (await job(database, job_id)).fencing == 7


async def test_a_job_that_keeps_failing_is_dead_with_its_last_error(
    any_database: Database, jobs: Registry, quick_retries: None
) -> None:
    tries: list[int] = []

    @jobs.handler("work", attempts_max=3)
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        tries.append(context.attempt)
        raise ValueError(f"try {context.attempt} failed")

    async with working(any_database, jobs):
        job_id = await _enqueue(any_database)
        row = await until(any_database, job_id, JobState.DEAD, within_seconds=20)
    assert tries == [1, 2, 3]
    assert row.last_error is not None
    assert "ValueError: try 3 failed" in row.last_error


async def test_a_job_that_kills_its_worker_each_time_ends_dead(database: Database, jobs: Registry) -> None:
    """Nobody is left to report the failure; the expired lease of the last attempt does."""

    @jobs.handler("work", attempts_max=2)
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        raise AssertionError("must not run a third time")

    job_id = await _enqueue(database)
    async with database.write() as session:
        await session.execute(
            update(Job).where(Job.id == job_id).values(state="running", attempts=2, fencing=2, due_at=LONG_AGO)
        )
    async with working(database, jobs):
        row = await until(database, job_id, JobState.DEAD)
    assert row.last_error == "The worker fell silent during attempt 2."


async def test_an_attempt_that_passes_its_deadline_fails(database: Database, jobs: Registry) -> None:
    @jobs.handler("work", attempts_max=1, deadline_seconds=0.05)
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        await asyncio.Event().wait()

    async with working(database, jobs):
        job_id = await _enqueue(database)
        row = await until(database, job_id, JobState.DEAD)
    assert "TimeoutError" in (row.last_error or "")


async def test_a_stopping_worker_lets_running_jobs_finish_and_takes_no_more(database: Database, jobs: Registry) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        started.set()
        await go_on.wait()

    # One place, and it is taken: no claim can be under way when the stop comes.
    async with working(database, jobs, concurrency=1) as stop:
        job_id = await _enqueue(database)
        await asyncio.wait_for(started.wait(), 10)
        stop.set()
        late_id = await _enqueue(database)
        go_on.set()
    assert (await job(database, job_id)).state == JobState.DONE
    assert (await job(database, late_id)).state == JobState.WAITING


async def test_what_is_not_done_when_the_drain_ends_waits_again_untried(database: Database, jobs: Registry) -> None:
    started = asyncio.Event()

    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        started.set()
        await asyncio.Event().wait()

    async with working(database, jobs, drain_seconds=0.05):
        job_id = await _enqueue(database)
        await asyncio.wait_for(started.wait(), 10)
    row = await job(database, job_id)
    assert (row.state, row.attempts, row.holder) == (JobState.WAITING, 0, None)


async def test_redis_carries_the_wake_up_and_its_loss_costs_only_a_poll(
    database_url: str, redis_server: RedisServer, redis_url: str, jobs: Registry
) -> None:
    """F4: Redis is stopped mid-run and emptied; jobs are done within 5 s, none twice, none lost."""
    done: Counter[int] = Counter()

    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        done[context.job_id] += 1

    here, there = open_database(database_url, pool_size=3), open_database(database_url, pool_size=3)
    try:
        async with working(there, jobs, redis_url=redis_url):
            first = await _enqueue(here)
            await until(there, first, JobState.DONE, within_seconds=5)
            redis_server.process.stop()
            second = await _enqueue(here)
            await until(there, second, JobState.DONE, within_seconds=5)
            redis_server.process.start()
            redis_server.flush()
            third = await _enqueue(here)
            await until(there, third, JobState.DONE, within_seconds=5)
    finally:
        if redis_server.process._process is None:
            redis_server.process.start()
        await here.close()
        await there.close()
    assert done == {first: 1, second: 1, third: 1}
