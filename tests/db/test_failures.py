"""A database that is gone, silent or busy is away, within a bound, and back as soon as it is."""

import asyncio
import socket
import time

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.services.mariadb import MariadbServer, mariadb_server
from tests.services.postgresql import PostgresqlServer, postgresql_server
from tests.services.processes import ServiceMissing

from cairn.base.clock import utc_now
from cairn.db.database import (
    Database,
    DatabaseAway,
    PointQuery,
    is_retryable,
    open_database,
)
from cairn.db.failures import ACQUIRE_SECONDS
from cairn.jobs.models import Schedule

OID = "a" * 40


def _schedule(name: str) -> Schedule:
    return Schedule(name=name, last_due_at=utc_now())


async def _survives_a_restart(server: PostgresqlServer | MariadbServer) -> None:
    database = open_database(server.url(server.create_database()), pool_size=3)
    query = PointQuery("SELECT name FROM t WHERE name = :name")
    try:
        async with database.write() as session:
            await session.execute(text("CREATE TABLE t (name VARCHAR(10))"))
            await session.execute(text("INSERT INTO t VALUES ('x')"))
        assert await database.fetch(query, name="x") == {"name": "x"}

        async def cut_short(session: AsyncSession) -> None:
            await session.execute(text("INSERT INTO t VALUES ('lost')"))
            server.process.kill()
            await session.execute(text("INSERT INTO t VALUES ('lost')"))

        with pytest.raises(DatabaseAway):
            await database.write_retrying(cut_short)
        with pytest.raises(DatabaseAway):
            await database.fetch(query, name="x")
        server.process.start()
        # At once and without an error: neither door hands out a connection of the dead server.
        assert await database.fetch(query, name="x") == {"name": "x"}
        async with database.read() as session:
            assert list(await session.scalars(text("SELECT name FROM t"))) == ["x"]
    finally:
        await database.close()


async def _idles_through_a_restart(server: PostgresqlServer | MariadbServer) -> None:
    database = open_database(server.url(server.create_database()), pool_size=3)
    try:
        async with database.read() as one, database.read() as other:
            for session in (one, other):
                assert await session.scalar(text("SELECT 1")) == 1
        server.process.kill()
        await asyncio.to_thread(server.process.start)
        for _ in range(3):
            async with database.write() as session:
                assert await session.scalar(text("SELECT 1")) == 1
    finally:
        await database.close()


async def test_a_lock_that_is_held_too_long_is_busy_not_forever(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.db.database._ATTEMPTS", 1)
    monkeypatch.setattr("cairn.db.connect.LOCK_SECONDS", 1)
    other = open_database(any_database.url.render_as_string(hide_password=False), pool_size=1)
    async with any_database.write() as session:
        session.add(_schedule("x"))

    async def change(session: AsyncSession) -> None:
        await session.execute(update(Schedule).values(last_due_at=utc_now()))

    try:
        async with any_database.write() as session:
            await change(session)
            started = time.monotonic()
            with pytest.raises(DatabaseAway) as caught:
                await other.write_retrying(change)
            assert time.monotonic() - started < 8
        assert isinstance(caught.value.__cause__, DBAPIError)
        assert is_retryable(caught.value.__cause__)
        await other.write_retrying(change)
    finally:
        await other.close()


async def test_an_exhausted_pool_is_away_within_ten_seconds(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.db.failures.ACQUIRE_SECONDS", 0.3)
    small = open_database(any_database.url.render_as_string(hide_password=False), pool_size=1)
    try:
        async with small.read():
            with pytest.raises(DatabaseAway):
                async with small.read():
                    pytest.fail("one connection was lent twice")
        async with small.read() as session:
            assert await session.scalar(text("SELECT 1")) == 1
    finally:
        await small.close()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_accepts_and_then_says_nothing_is_away_in_time(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ACQUIRE_SECONDS <= 10
    monkeypatch.setattr("cairn.db.failures.ACQUIRE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = open_database(f"{scheme}://u:p@127.0.0.1:{silent.getsockname()[1]}/n", pool_size=1)
        started = time.monotonic()
        try:
            with pytest.raises(DatabaseAway):
                async with database.read():
                    pytest.fail("nobody answered")
            with pytest.raises(DatabaseAway):
                await database.ping()
            with pytest.raises(DatabaseAway):
                await database.fetch(PointQuery("SELECT 1 AS one WHERE 1 = :one"), one=1)
            assert time.monotonic() - started < 8
        finally:
            await database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_is_not_there_is_away(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    database = open_database(f"{scheme}://u:p@127.0.0.1:{port}/n", pool_size=1)
    try:
        with pytest.raises(DatabaseAway):
            async with database.write():
                pytest.fail("nobody answered")
        with pytest.raises(DatabaseAway):
            await database.fetch(PointQuery("SELECT 1 AS one WHERE 1 = :one"), one=1)
    finally:
        await database.close()


async def test_a_server_killed_in_a_transaction_is_away_and_then_back() -> None:
    for run in (postgresql_server, mariadb_server):
        try:
            with run(fsync=True) as server:
                await _survives_a_restart(server)
        except ServiceMissing as missing:
            pytest.skip(str(missing))


async def test_a_program_that_idles_through_a_restart_notices_nothing() -> None:
    """No request fails on a connection that the old server had, though nothing was asked of it in between."""
    for run in (postgresql_server, mariadb_server):
        try:
            with run(fsync=True) as server:
                await _idles_through_a_restart(server)
        except ServiceMissing as missing:
            pytest.skip(str(missing))
