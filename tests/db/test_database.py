"""The session edge, point queries and what a failing database looks like, on all three databases."""

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.services.mariadb import MariadbServer, mariadb_server
from tests.services.ports import eventually
from tests.services.postgresql import PostgresqlServer, postgresql_server
from tests.services.processes import ServiceMissing

from cairn.base.clock import utc_now
from cairn.db.clock import as_utc, database_now, now
from cairn.db.database import (
    Database,
    DatabaseAway,
    DatabaseMisconfigured,
    PointQuery,
    is_retryable,
    open_database,
    parse_database_url,
)
from cairn.db.failures import ACQUIRE_SECONDS
from cairn.git.models import REF_NAME_BYTES_MAX, Ref, Store
from cairn.identity.models import InstanceSecret
from cairn.jobs.models import Schedule
from cairn.programs.schema import metadata

OID = "a" * 40


def _schedule(name: str) -> Schedule:
    return Schedule(name=name, last_due_at=utc_now())


async def _names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(Schedule.name).order_by(Schedule.name)))


async def test_the_database_itself_refuses_to_write_in_a_read_transaction(any_database: Database) -> None:
    async with any_database.read() as session:
        with pytest.raises(DBAPIError):
            await session.execute(insert(Schedule).values(name="x", last_due_at=utc_now()))
    assert await _names(any_database) == []
    async with any_database.write() as session:
        session.add(_schedule("y"))
    assert await _names(any_database) == ["y"], "a connection that was read-only may write again"


async def test_a_write_commits_at_its_edge_and_an_error_rolls_it_back(any_database: Database) -> None:
    async with any_database.write() as session:
        session.add(_schedule("kept"))

    async def failing(session: AsyncSession) -> None:
        session.add(_schedule("dropped"))
        await session.flush()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await any_database.write_retrying(failing)
    assert await _names(any_database) == ["kept"]


async def test_a_broken_constraint_is_an_integrity_error_not_a_lost_database(any_database: Database) -> None:
    async with any_database.write() as session:
        session.add(_schedule("x"))
    with pytest.raises(IntegrityError):
        async with any_database.write() as session:
            session.add(_schedule("x"))


async def test_two_writers_that_deadlock_both_succeed_by_retrying(any_database: Database) -> None:
    if any_database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: no deadlock")
    async with any_database.write() as session:
        session.add_all([_schedule("a"), _schedule("b")])
    attempts = 0
    both_hold_one = asyncio.Barrier(2)

    def touching(first: str, second: str) -> object:
        async def change(session: AsyncSession) -> None:
            nonlocal attempts
            attempts += 1
            await session.execute(update(Schedule).where(Schedule.name == first).values(last_due_at=utc_now()))
            if attempts <= 2:
                await both_hold_one.wait()
            await session.execute(update(Schedule).where(Schedule.name == second).values(last_due_at=utc_now()))

        return change

    await asyncio.gather(
        any_database.write_retrying(touching("a", "b")),  # type: ignore[arg-type]  # a change
        any_database.write_retrying(touching("b", "a")),  # type: ignore[arg-type]  # a change
    )
    assert attempts == 3


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


async def test_a_point_query_gives_the_same_row_on_every_database(any_database: Database) -> None:
    moment = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
    async with any_database.write() as session:
        session.add(Store(id=7, head_target=b"refs/heads/m\xff", created_at=moment))
        session.add(Ref(store_id=7, name=b"refs/heads/m\xff", oid=OID, peeled=None))
        session.add(Ref(store_id=7, name=b"refs/tags/\xe2\x82\xac", oid=OID, peeled=OID))
    query = PointQuery(
        "SELECT s.id, s.head_target, s.created_at, r.oid, r.peeled FROM git_store s"
        " JOIN git_ref r ON r.store_id = s.id WHERE s.id = :id AND r.name = :name AND s.created_at <= :now"
    )
    row = await any_database.fetch(query, id=7, name=b"refs/heads/m\xff", now=moment)
    assert row is not None
    found = dict(row)
    assert as_utc(found.pop("created_at")) == moment
    assert found == {"id": 7, "head_target": b"refs/heads/m\xff", "oid": OID, "peeled": None}
    assert await any_database.fetch(query, id=7, name=b"refs/heads/M\xff", now=moment) is None
    assert (
        await any_database.fetch(query, id=7, name=b"refs/heads/m\xff", now=moment - timedelta(microseconds=1)) is None
    )
    every = PointQuery("SELECT name FROM git_ref WHERE store_id = :store AND name >= :low ORDER BY name")
    rows = await any_database.fetch_all(every, store=7, low=b"")
    assert [row["name"] for row in rows] == [b"refs/heads/m\xff", b"refs/tags/\xe2\x82\xac"]


async def test_a_point_query_sees_what_was_just_committed(any_database: Database) -> None:
    query = PointQuery("SELECT name FROM job_schedule WHERE name = :name")
    for number in range(20):
        async with any_database.write() as session:
            session.add(_schedule(f"s{number}"))
        assert await any_database.fetch(query, name=f"s{number}") == {"name": f"s{number}"}


async def test_a_point_query_cannot_write(any_database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        await any_database.fetch_all(PointQuery("DELETE FROM job_schedule WHERE name = :name"), name="x")


async def test_a_wrong_point_query_is_our_fault_not_the_database_s_absence(any_database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught:
        await any_database.fetch(PointQuery("SELECT 1 FROM no_such_table WHERE 1 = :one"), one=1)
    assert not isinstance(caught.value, DatabaseAway)


@pytest.mark.parametrize(
    "names",
    [
        [b"refs/heads/Main", b"refs/heads/main", b"refs/heads/MAIN"],
        ["refs/heads/é".encode(), "refs/heads/e\u0301".encode()],
        [b"a", b"a ", b"a  ", b"a\x00", b"a\t"],
        [b"\xff\xfe", b"\x80", b"\xc3\x28"],
        [b"x" * REF_NAME_BYTES_MAX, b"x" * (REF_NAME_BYTES_MAX - 1)],
        ["ß".encode(), b"ss", "ẞ".encode()],
    ],
    ids=["case", "normal form", "trailing blanks", "not UTF-8", "1,000 bytes", "sharp s"],
)
async def test_ref_names_are_bytes_and_nothing_else(any_database: Database, names: list[bytes]) -> None:
    """C6: what another database would take for the same name is another name here."""
    async with any_database.write() as session:
        session.add_all([Ref(store_id=1, name=name, oid=f"{n:040x}") for n, name in enumerate(names)])
    async with any_database.read() as session:
        in_order = list(await session.scalars(select(Ref.name).where(Ref.store_id == 1).order_by(Ref.name)))
        assert in_order == sorted(names)
        for number, name in enumerate(names):
            oids = list(await session.scalars(select(Ref.oid).where(Ref.store_id == 1, Ref.name == name)))
            assert oids == [f"{number:040x}"]
    with pytest.raises(IntegrityError):
        async with any_database.write() as session:
            session.add(Ref(store_id=1, name=names[0], oid=OID))


@pytest.mark.parametrize("text_", ["Main", "é", "\U0001f980"])
async def test_text_compares_exactly_too(any_database: Database, text_: str) -> None:
    """But for blanks at its end, which MariaDB does not count: names are checked to have none."""
    async with any_database.write() as session:
        session.add(_schedule(text_))
    async with any_database.read() as session:
        for other in (text_.swapcase(), "e\u0301"):
            found = list(await session.scalars(select(Schedule.name).where(Schedule.name == other)))
            assert found == ([text_] if other == text_ else [])


async def test_large_bytes_come_back_whole(any_database: Database) -> None:
    sealed = bytes(range(256)) * 255
    async with any_database.write() as session:
        session.add(InstanceSecret(name="x", sealed=sealed, created_at=utc_now()))
    async with any_database.read() as session:
        assert await session.scalar(select(InstanceSecret.sealed)) == sealed


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2024, 7, 1, tzinfo=UTC),
    ],
)
async def test_times_come_back_as_they_were_to_the_microsecond(any_database: Database, moment: datetime) -> None:
    async with any_database.write() as session:
        session.add(Schedule(name="x", last_due_at=moment))
    async with any_database.read() as session:
        assert await session.scalar(select(Schedule.last_due_at)) == moment
        for shift, expected in ((-1, 0), (0, 1), (1, 1)):
            edge = moment + timedelta(microseconds=shift)
            assert await session.scalar(select(func.count()).where(Schedule.last_due_at <= edge)) == expected


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


async def test_a_server_killed_in_a_transaction_is_away_and_then_back() -> None:
    for run in (postgresql_server, mariadb_server):
        try:
            with run(fsync=True) as server:
                await _survives_a_restart(server)
        except ServiceMissing as missing:
            pytest.skip(str(missing))


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


async def test_a_row_id_is_never_given_twice(any_database: Database) -> None:
    """What others keep under an id (cached answers, grants, packs) must not fall to the next row."""
    ids = []
    for _ in range(3):
        async with any_database.write() as session:
            store = Store(head_target=b"refs/heads/main", created_at=utc_now())
            session.add(store)
            await session.flush()
            ids.append(store.id)
            await session.delete(store)
    assert len(set(ids)) == 3


def test_every_numbered_table_says_so() -> None:
    for table in metadata().tables.values():
        is_numbered = table.autoincrement_column is not None
        assert table.dialect_options["sqlite"]["autoincrement"] is is_numbered, table.name


async def test_opening_creates_no_file(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/cairn.db", pool_size=1)
    await database.close()
    assert list(tmp_path.iterdir()) == []
