"""Recurring jobs: whichever node looks first after a schedule is due enqueues its job; the others see that it did."""

import asyncio

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database, DatabaseAway
from cairn.jobs.models import Schedule
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import SCHEDULE_KIND, Registry

LOOK_SECONDS = 5.0

_log = get_logger(__name__)


async def run_schedules(database: Database, jobs: Registry) -> None:
    """Enqueue recurring jobs when they are due, until cancelled; a time that was missed is not made up for twice."""
    while True:
        try:
            await enqueue_due(database, jobs)
        except DatabaseAway as error:
            _log.warning("schedules_wait", reason=error.message)
        await asyncio.sleep(LOOK_SECONDS)


async def enqueue_due(database: Database, jobs: Registry) -> list[str]:
    """Enqueue every recurring job that is due and that no other node has enqueued; return their names."""
    async with database.read() as session:
        moment = await database_now(session)
        known = {row.name: row.last_due_at for row in await session.scalars(select(Schedule))}
    due = [name for name, every in jobs.schedules.items() if name not in known or known[name] + every <= moment]
    return [name for name in due if await _enqueue(database, name, is_new=name not in known, jobs=jobs)]


async def _enqueue(database: Database, name: str, *, is_new: bool, jobs: Registry) -> bool:
    try:
        async with database.write() as session:
            moment = await database_now(session)
            if is_new:
                session.add(Schedule(name=name, last_due_at=moment))
                await session.flush()
            else:
                # Two nodes that both saw it due: the second finds the row moved.
                statement = update(Schedule).where(
                    Schedule.name == name, Schedule.last_due_at <= moment - jobs.schedules[name]
                )
                if not await _moved(session, statement.values(last_due_at=moment)):
                    return False
            await enqueue(session, SCHEDULE_KIND + name, {}, unique_key=SCHEDULE_KIND + name)
    except IntegrityError:
        return False  # another node added the row
    return True


async def _moved(session: AsyncSession, statement: object) -> bool:
    result = await session.execute(statement)  # type: ignore[call-overload]  # an UPDATE
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
