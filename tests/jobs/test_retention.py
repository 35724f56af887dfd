"""Done jobs go, dead ones stay."""

from sqlalchemy import text, update

from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.jobs.models import Job
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import Registry
from cairn.jobs.retention import delete_done

LONG_AGO = utc_now().replace(year=2020)


async def _enqueue(database: Database, kind: str = "work", **payload: object) -> int:
    async with database.write() as session:
        return await enqueue(session, kind, payload)


async def test_done_jobs_go_after_a_week_and_dead_ones_stay(any_database: Database, jobs: Registry) -> None:
    old, fresh, dead = [await _enqueue(any_database) for _ in range(3)]
    async with any_database.write() as session:
        await session.execute(update(Job).values(state="done", finished_at=LONG_AGO))
        await session.execute(update(Job).where(Job.id == fresh).values(finished_at=utc_now()))
        await session.execute(update(Job).where(Job.id == dead).values(state="dead"))
    assert await delete_done(any_database) == 1
    async with any_database.read() as session:
        left = (await session.execute(text("SELECT id FROM job ORDER BY id"))).scalars().all()
    assert left == [fresh, dead]
    assert old not in left
