"""Whoever follows the event table gets each event once, also those whose ids commit out of order."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.events.models import EventRow
from cairn.events.tail import EventTail
from cairn.events.types import Event
from cairn.jobs.wake import Wakeups


class LampLit(Event, frozen=True):
    number: int


async def _emit(database: Database, *numbers: int) -> None:
    async with database.write() as session:
        for number in numbers:
            emit(session, LampLit(number))


async def _read(tail: EventTail) -> list[object]:
    return [event.payload["number"] for event in await tail.read()]


async def test_a_tail_gives_each_event_once_from_its_start_on(any_database: Database) -> None:
    await _emit(any_database, 1, 2)
    tail = EventTail(any_database)
    await tail.start()
    assert await _read(tail) == []
    await _emit(any_database, 3)
    await _emit(any_database, 4)
    assert await _read(tail) == [3, 4]
    assert await _read(tail) == []


async def test_an_event_that_commits_after_one_with_a_higher_id_is_given(any_database: Database) -> None:
    if any_database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: ids commit in order")
    tail = EventTail(any_database)
    await tail.start()
    async with any_database.write() as slow:
        emit(slow, LampLit(1))
        await slow.flush()
        await _emit(any_database, 2)
        assert await _read(tail) == [2]
    assert await _read(tail) == [1]
    assert await _read(tail) == []


async def test_a_tail_remembers_no_more_than_its_window(any_database: Database) -> None:
    tail = EventTail(any_database, window=timedelta(seconds=60))
    await tail.start()
    await _emit(any_database, 1, 2)
    assert await _read(tail) == [1, 2]
    async with any_database.write() as session:
        await session.execute(update(EventRow).values(at=utc_now() - timedelta(seconds=61)))
    restarted = EventTail(any_database, window=timedelta(seconds=60))
    await restarted.start()
    assert restarted._given == {}
    await _emit(any_database, 3)
    assert await _read(restarted) == [3]
    assert await _read(tail) == [3]


async def test_following_wakes_with_the_commit(database: Database) -> None:
    tail, wakeups = EventTail(database), Wakeups(database)
    await tail.start()
    got = []
    async with asyncio.timeout(10):
        await _emit(database, 1)
        async for event in tail.follow(wakeups):
            got.append(event.payload["number"])
            if len(got) == 3:
                break
            await _emit(database, len(got) + 1)
    assert got == [1, 2, 3]
