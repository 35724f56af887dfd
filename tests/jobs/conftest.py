"""A worker of this test's own, and a look at the queue."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select
from tests.services.ports import eventually

from cairn.db.database import Database
from cairn.jobs.context import Services
from cairn.jobs.models import Job, JobState
from cairn.jobs.registry import Registry
from cairn.jobs.wake import Wakeups
from cairn.jobs.worker import run_worker


@asynccontextmanager
async def working(
    database: Database,
    jobs: Registry,
    *,
    concurrency: int = 4,
    drain_seconds: float = 10,
    redis_url: str = "",
    services: Services | None = None,
) -> AsyncIterator[asyncio.Event]:
    """Run a worker inside the block and yield what stops it; leaving the block stops it too and waits."""
    stop, wakeups = asyncio.Event(), Wakeups(database, redis_url=redis_url)
    async with asyncio.TaskGroup() as tasks:
        carrier = tasks.create_task(wakeups.run())
        worker = tasks.create_task(
            run_worker(
                database,
                services or {},
                concurrency=concurrency,
                stop=stop,
                wakeups=wakeups,
                drain_seconds=drain_seconds,
                jobs=jobs,
            )
        )
        try:
            yield stop
        finally:
            stop.set()
            await asyncio.wait([worker])
            carrier.cancel()


async def job(database: Database, job_id: int) -> Job:
    """Return a job's row."""
    async with database.read() as session:
        return (await session.scalars(select(Job).where(Job.id == job_id))).one()


async def until(database: Database, job_id: int, state: JobState, *, within_seconds: float = 10) -> Job:
    """Return the job's row once it is in a state."""

    async def reached() -> bool:
        return (await job(database, job_id)).state == state

    await eventually(reached, within_seconds=within_seconds, what=f"job {job_id} is {state}")
    return await job(database, job_id)


@pytest.fixture
def jobs() -> Registry:
    """An empty registry."""
    return Registry()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let failed jobs be due again at once."""
    monkeypatch.setattr("cairn.jobs.lease.BACKOFF_SECONDS", 0.01)


Change = Callable[..., Awaitable[None]]
