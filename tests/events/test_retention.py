"""Events go after thirty days."""

from datetime import timedelta

from sqlalchemy import func, select, update

from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.events.models import EventRow
from cairn.events.retention import delete_old
from cairn.events.types import Event


class LampLit(Event, frozen=True):
    number: int


async def _emit(database: Database, *numbers: int) -> None:
    async with database.write() as session:
        for number in numbers:
            emit(session, LampLit(number))


async def test_events_go_after_thirty_days(any_database: Database) -> None:
    await _emit(any_database, 1)
    async with any_database.write() as session:
        await session.execute(update(EventRow).values(at=utc_now() - timedelta(days=31)))
    await _emit(any_database, 2)
    assert await delete_old(any_database) == 1
    async with any_database.read() as session:
        assert await session.scalar(select(func.count()).select_from(EventRow)) == 1
