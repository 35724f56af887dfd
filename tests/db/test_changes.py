"""Counting what a condition matched: compare-and-set on every database."""

import asyncio

from sqlalchemy import delete, insert, select, update

from cairn.db.changes import count_changed
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.models import Job, JobState


async def _make_jobs(database: Database, count: int) -> list[int]:
    async with database.write() as session:
        now = await database_now(session)
        rows = [
            {"kind": "k", "payload": {}, "state": JobState.WAITING, "due_at": now, "created_at": now}
            for _ in range(count)
        ]
        await session.execute(insert(Job), rows)
        return list(await session.scalars(select(Job.id).order_by(Job.id)))


async def test_rows_that_matched_are_counted(any_database: Database) -> None:
    first, *_ = await _make_jobs(any_database, 3)
    async with any_database.write() as session:
        assert await count_changed(session, update(Job).values(attempts=1)) == 3
        assert await count_changed(session, delete(Job).where(Job.id == first)) == 1
        assert await count_changed(session, delete(Job).where(Job.id == first)) == 0


async def test_a_row_that_already_had_the_value_counts_as_matched(any_database: Database) -> None:
    """MySQL's own count leaves such rows out: a compare-and-set that had won would look lost."""
    await _make_jobs(any_database, 2)
    async with any_database.write() as session:
        assert await count_changed(session, update(Job).values(attempts=0)) == 2


async def test_one_of_many_writers_wins_the_compare_and_set(any_database: Database) -> None:
    [job] = await _make_jobs(any_database, 1)

    async def claim(holder: str) -> int:
        async with any_database.write() as session:
            mine = update(Job).where(Job.id == job, Job.holder.is_(None)).values(holder=holder)
            return await count_changed(session, mine)

    claims = [claim(f"{number:032x}") for number in range(5)]
    assert sorted(await asyncio.gather(*claims)) == [0, 0, 0, 0, 1]


async def test_what_the_session_holds_is_left_as_it_was(any_database: Database) -> None:
    [number] = await _make_jobs(any_database, 1)
    async with any_database.write() as session:
        job = (await session.scalars(select(Job))).one()
        await count_changed(session, update(Job).where(Job.id == number).values(attempts=9))
        assert job.attempts == 0
        await session.refresh(job)
        assert job.attempts == 9
