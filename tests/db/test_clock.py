"""The database's clock, on all three databases."""

from datetime import timedelta

from sqlalchemy import select
from tests.services.ports import eventually

from cairn.base.clock import utc_now
from cairn.db.clock import database_now, now
from cairn.db.database import (
    Database,
)
from cairn.jobs.models import Schedule

OID = "a" * 40


async def test_the_database_s_clock_is_the_time_and_moves_within_a_transaction(any_database: Database) -> None:
    async with any_database.write() as session:
        first = await database_now(session)
        assert abs(first - utc_now()) < timedelta(seconds=5)
        assert await database_now(session, plus=timedelta(hours=1)) - first >= timedelta(hours=1)

        async def moved() -> bool:
            return await database_now(session) > first

        await eventually(moved, within_seconds=5, what="the clock moves")
        session.add(Schedule(name="x", last_due_at=now()))
        await session.flush()
        written = await session.scalar(select(Schedule.last_due_at))
        assert written is not None
        assert first < written <= await database_now(session) + timedelta(milliseconds=1)
