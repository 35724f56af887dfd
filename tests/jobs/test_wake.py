"""Wake-ups reach other processes over Redis, and over the file on SQLite."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.services.ports import eventually
from tests.services.redis import RedisServer

from cairn.db.database import Database, announce, open_database
from cairn.jobs.queue import enqueue
from cairn.jobs.wake import Wakeups


@asynccontextmanager
async def carrying(*carriers: Wakeups) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(carrier.run()) for carrier in carriers]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


async def _say_until_heard(speaker: Database, woken: asyncio.Event, *, within_seconds: float) -> None:
    async def heard() -> bool:
        async with speaker.write() as session:
            announce(session, "jobs")
        return woken.is_set()

    await eventually(heard, within_seconds=within_seconds, what="the other process is woken")


async def test_redis_carries_a_topic_and_comes_back_after_a_restart(
    tmp_path: Path, redis_server: RedisServer, redis_url: str
) -> None:
    # Two files: nothing but Redis connects them.
    here, there = (open_database(f"sqlite:///{tmp_path}/{name}.db", pool_size=1) for name in ("a", "b"))
    speaker, listener = Wakeups(here, redis_url=redis_url), Wakeups(there, redis_url=redis_url)
    try:
        with listener.listening("jobs") as woken:
            async with carrying(speaker, listener):
                await asyncio.wait_for(woken.wait(), 10)  # at the start, and when connected
                woken.clear()
                await _say_until_heard(here, woken, within_seconds=10)
                redis_server.process.stop()
                redis_server.process.start()
                woken.clear()
                await _say_until_heard(here, woken, within_seconds=20)
    finally:
        await here.close()
        await there.close()


async def test_a_topic_nobody_announced_wakes_nobody(tmp_path: Path, redis_url: str) -> None:
    database = open_database(f"sqlite:///{tmp_path}/a.db", pool_size=1)
    carrier = Wakeups(database, redis_url=redis_url)
    try:
        with carrier.listening("jobs") as jobs, carrier.listening("events") as events:
            async with database.write() as session:
                announce(session, "events")
            assert (jobs.is_set(), events.is_set()) == (False, True)
    finally:
        await database.close()


async def test_what_is_rolled_back_wakes_nobody(database: Database) -> None:
    carrier = Wakeups(database)
    with carrier.listening("jobs") as woken:
        async with database.write() as session:
            await enqueue(session, "work", {})
            await session.rollback()
        async with database.write():
            pass
        assert not woken.is_set()


async def test_on_sqlite_a_commit_of_another_process_is_seen_in_the_file(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "cairn.db"
    path.write_bytes(sqlite_template.read_bytes())
    here, there = (open_database(f"sqlite:///{path}", pool_size=1) for _ in range(2))
    listener = Wakeups(there)
    try:
        with listener.listening("jobs") as woken:
            async with carrying(listener):
                await asyncio.wait_for(woken.wait(), 10)
                woken.clear()
                async with here.write() as session:
                    await enqueue(session, "work", {})
                await asyncio.wait_for(woken.wait(), 10)
    finally:
        await here.close()
        await there.close()
