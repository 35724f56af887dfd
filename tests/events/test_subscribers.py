"""O3: a subscriber gets each event at least once, in order per repository where it asks, only after the commit."""

import asyncio

import pytest
from tests.jobs.conftest import working
from tests.services.ports import eventually

from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.events.subscribers import Subscribers
from cairn.events.types import Event
from cairn.jobs.context import JobContext
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


async def _emit(database: Database, subscribers: Subscribers, *events: Event) -> None:
    for event in events:
        async with database.write() as session:
            emit(session, event, to=subscribers)


def _until_length(items: list[object], length: int) -> object:
    async def reached() -> bool:
        return len(items) >= length

    return eventually(reached, within_seconds=30, what=f"{length} deliveries")


async def test_each_subscriber_gets_the_event_it_asked_for_with_its_type(
    any_database: Database, jobs: Registry, subscribers: Subscribers
) -> None:
    read: list[object] = []
    every: list[object] = []

    @subscribers.subscribe(PageRead, name="read")
    async def on_read(context: JobContext, event: PageRead) -> None:
        read.append(event)

    @subscribers.subscribe(PageRead, PageTorn, name="every")
    async def on_every(context: JobContext, event: PageRead | PageTorn) -> None:
        every.append(event)

    events = [PageRead(1, repository_id=7), PageTorn(2, "ada"), PageRead(3)]
    async with working(any_database, jobs):
        await _emit(any_database, subscribers, *events)
        await _until_length(every, 3)  # type: ignore[misc]  # a coroutine
        await _until_length(read, 2)  # type: ignore[misc]  # a coroutine
    assert sorted(every, key=lambda event: event.number) == events  # type: ignore[attr-defined]  # our types
    assert sorted(read, key=lambda event: event.number) == [events[0], events[2]]  # type: ignore[attr-defined]


async def test_a_repository_s_events_come_in_order_and_a_failing_one_holds_up_only_its_own_repository(
    any_database: Database, jobs: Registry, subscribers: Subscribers
) -> None:
    got: list[tuple[int | None, int]] = []
    failures = iter([True, True, False])
    other_came = asyncio.Event()

    @subscribers.subscribe(PageRead, name="read", in_order=True)
    async def on_read(context: JobContext, event: PageRead) -> None:
        if event.repository_id == 1 and event.number == 0 and next(failures):
            raise RuntimeError("not yet")
        got.append((event.repository_id, event.number))
        if event.repository_id == 2:
            other_came.set()

    async with working(any_database, jobs):
        await _emit(any_database, subscribers, *(PageRead(n, repository_id=1) for n in range(10)))
        await _emit(any_database, subscribers, PageRead(0, repository_id=2))
        await asyncio.wait_for(other_came.wait(), 30)
        await _until_length(got, 11)  # type: ignore[misc, arg-type]  # a coroutine; a list of tuples
    assert [number for repository, number in got if repository == 1] == list(range(10))


async def test_a_failing_subscriber_does_not_hold_up_another(
    database: Database, jobs: Registry, subscribers: Subscribers
) -> None:
    got: list[object] = []

    @subscribers.subscribe(PageRead, name="broken", in_order=True, attempts_max=1)
    async def on_broken(context: JobContext, event: PageRead) -> None:
        raise RuntimeError("always")

    @subscribers.subscribe(PageRead, name="read", in_order=True)
    async def on_read(context: JobContext, event: PageRead) -> None:
        got.append(event.number)

    async with working(database, jobs):
        await _emit(database, subscribers, *(PageRead(n, repository_id=1) for n in range(3)))
        await _until_length(got, 3)  # type: ignore[misc]  # a coroutine
    assert got == [0, 1, 2]


async def test_a_redelivery_has_the_same_job_id(database: Database, jobs: Registry, subscribers: Subscribers) -> None:
    seen: list[object] = []

    @subscribers.subscribe(PageRead, name="read")
    async def on_read(context: JobContext, event: PageRead) -> None:
        seen.append((context.job_id, context.push_id))
        if context.attempt == 1:
            raise RuntimeError("after the effect, before the job was noted as done")

    async with working(database, jobs):
        await _emit(database, subscribers, PageRead(1))
        await _until_length(seen, 2)  # type: ignore[misc]  # a coroutine
    assert seen[0] == seen[1]
