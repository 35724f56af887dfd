"""What a job knows of itself: whether it still holds its lease, and what the program gave it."""

import asyncio

from sqlalchemy import update
from tests.jobs.conftest import job, until, working
from tests.services.ports import eventually

from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.jobs.context import JobContext, LeaseLost
from cairn.jobs.models import Job, JobState
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import Registry

LONG_AGO = utc_now().replace(year=2020)


async def _enqueue(database: Database, kind: str = "work", **payload: object) -> int:
    async with database.write() as session:
        return await enqueue(session, kind, payload)


async def _expire_lease(database: Database, job_id: int) -> None:
    async with database.write() as session:
        await session.execute(update(Job).where(Job.id == job_id).values(due_at=LONG_AGO))


async def test_a_stale_holder_publishes_nothing_after_its_job_was_taken_over(
    any_database: Database, jobs: Registry
) -> None:
    """A worker is paused past its lease; another does the job; the first wakes up and goes on where it was."""
    paused, resume = asyncio.Event(), asyncio.Event()
    published: list[int] = []
    refused: list[int] = []

    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        if context.fencing == 1:
            paused.set()
            await resume.wait()
        try:
            async with any_database.write() as session:
                await context.still_mine(session)
                published.append(context.fencing)
        except LeaseLost:
            refused.append(context.fencing)
            raise

    async with working(any_database, jobs):
        job_id = await _enqueue(any_database)
        await asyncio.wait_for(paused.wait(), 10)
        await _expire_lease(any_database, job_id)
        row = await until(any_database, job_id, JobState.DONE)
        resume.set()

        async def first_was_refused() -> bool:
            return refused == [1]

        await eventually(first_was_refused, within_seconds=10, what="the first holder was refused")
    assert published == [2]
    after = await job(any_database, job_id)
    assert (after.state, after.fencing, after.finished_at) == (JobState.DONE, 2, row.finished_at)


async def test_handlers_get_what_the_program_gave_the_worker(database: Database, jobs: Registry) -> None:
    class Engine:
        """Stands for what a program opens."""

    engine, got = Engine(), []

    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        got.append(context.service(Engine))

    async with working(database, jobs, services={Engine: engine}):
        await until(database, await _enqueue(database), JobState.DONE)
    assert got == [engine]
