"""What a URL may say, and that nothing cancelled or stopped keeps a lock."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from cairn.base.clock import utc_now
from cairn.db.connect import make_engine, make_snapshot_engine
from cairn.db.database import (
    Database,
    DatabaseAway,
    DatabaseMisconfigured,
    open_database,
    parse_database_url,
)
from cairn.jobs.models import Schedule

OID = "a" * 40


def _schedule(name: str) -> Schedule:
    return Schedule(name=name, last_due_at=utc_now())


async def _names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(Schedule.name).order_by(Schedule.name)))


@pytest.mark.parametrize("make", [make_snapshot_engine, partial(make_engine, pool_size=1)], ids=["one", "pool"])
async def test_a_connection_that_goes_with_its_cancelled_request_is_no_error_in_the_log(
    make: Callable[..., AsyncEngine], caplog: pytest.LogCaptureFixture
) -> None:
    """What the pool says of any other failure to give a connection back stays one."""
    pool = make("sqlite", parse_database_url("sqlite:///unused")[1]).sync_engine.pool
    for error, is_told in ((asyncio.CancelledError(), False), (OSError("gone"), True)):
        pool.logger.error("Exception during reset or similar", exc_info=error)
        assert bool(caplog.records) is is_told


async def test_a_cancelled_query_leaves_a_pool_that_works(any_database: Database) -> None:
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90000000) "
        "SELECT sum(i) FROM n",  # a minute
        "postgresql": "SELECT pg_sleep(20)",
        "mysql": "SELECT SLEEP(20)",
    }[any_database.dialect]

    async def run(*, writing: bool) -> None:
        async with any_database.write() if writing else any_database.read() as session:
            if writing:
                await session.execute(delete(Schedule))
            await session.execute(text(slow))

    for _ in range(2):
        for writing in (False, True):
            tasks = [asyncio.create_task(run(writing=writing)) for _ in range(4)]
            await asyncio.wait(tasks, timeout=0.1)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    async with any_database.write() as session:
        session.add(_schedule("after"))
    assert await _names(any_database) == ["after"]
    await any_database.ping()


async def test_a_node_that_hangs_in_a_transaction_does_not_keep_its_locks(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13: a stopped process holds a row lock; the server ends its session (30 s in real life)."""
    if any_database.dialect == "sqlite":
        pytest.skip("one node: its death frees the file's locks")
    monkeypatch.setattr("cairn.db.connect.IDLE_SECONDS", 1)
    async with any_database.write() as session:
        session.add(_schedule("x"))
    hanging = open_database(any_database.url.render_as_string(hide_password=False), pool_size=1)

    async def change(session: AsyncSession) -> None:
        await session.execute(update(Schedule).values(last_due_at=utc_now()))

    async def hang(session: AsyncSession) -> None:
        await change(session)
        await any_database.write_retrying(change)  # waits for the lock, then gets it
        await change(session)

    try:
        with pytest.raises(DatabaseAway):
            await hanging.write_retrying(hang)
    finally:
        await hanging.close()


@pytest.mark.parametrize(
    ("url", "dialect", "driver"),
    [
        ("sqlite:////var/lib/cairn.db", "sqlite", "sqlite+aiosqlite"),
        ("postgres://u:p@h/n", "postgresql", "postgresql+asyncpg"),
        ("postgresql+psycopg://u:p@h/n?sslmode=require", "postgresql", "postgresql+asyncpg"),
        ("mariadb://u:p@h/n", "mysql", "mysql+asyncmy"),
        ("mysql://u:p@h/n?ssl=verify", "mysql", "mysql+asyncmy"),
    ],
)
def test_urls_choose_the_dialect_and_our_driver(url: str, dialect: str, driver: str) -> None:
    found, parsed = parse_database_url(url)
    assert (found, parsed.drivername) == (dialect, driver)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "oracle://h/n", "sqlite://", "sqlite:///:memory:", "mysql://h/n?charset=latin1",
     "mysql://h/n?ssl_ca=/nowhere/ca.pem", "postgresql://h:port/n"],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_with_a_sentence_that_holds_no_password(url: str) -> None:
    with pytest.raises(DatabaseMisconfigured, match="CAIRN_DATABASE_URL"):
        parse_database_url(url)
