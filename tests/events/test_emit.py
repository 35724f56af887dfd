"""An event stands and falls with its transaction."""

import pytest
from sqlalchemy import func, select

from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.events.models import EventRow
from cairn.events.subscribers import Subscribers
from cairn.events.types import Event
from cairn.jobs.context import JobContext
from cairn.jobs.models import Job
from cairn.jobs.registry import Registry


class PageRead(Event, frozen=True):
    number: int


class PageTorn(Event, frozen=True):
    number: int
    by: str = "nobody"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr("cairn.jobs.lease.BACKOFF_SECONDS", 0.01)
    return Registry()


@pytest.fixture
def subscribers(jobs: Registry) -> Subscribers:
    return Subscribers(jobs)


async def test_what_is_rolled_back_is_no_event(any_database: Database, subscribers: Subscribers) -> None:
    @subscribers.subscribe(PageRead, name="read")
    async def on_read(context: JobContext, event: PageRead) -> None:
        """Only its job row matters."""

    async with any_database.write() as session:
        emit(session, PageRead(1), to=subscribers)
        await session.flush()
        await session.rollback()
    async with any_database.read() as session:
        assert await session.scalar(select(func.count()).select_from(EventRow)) == 0
        assert await session.scalar(select(func.count()).select_from(Job)) == 0


async def test_an_event_with_a_body_is_refused(database: Database) -> None:
    async with database.write() as session:
        with pytest.raises(AssertionError, match="short facts"):
            emit(session, PageTorn(1, by="x" * 100_000))
