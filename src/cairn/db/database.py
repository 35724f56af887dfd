"""The database: engines, the session edge, and prepared point queries for hot paths.

``read()`` gives a transaction in which the database itself refuses writes; ``write()`` commits at its end. Functions
below the edge flush, never commit. ``Database.fetch`` runs a point query (``cairn.db.point_query``).
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import event, text
from sqlalchemy import exc as sql_errors
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from cairn.base.patience import waiting
from cairn.db.clock import NOW_SQL, as_utc
from cairn.db.connect import (
    Dialect,
    make_engine,
    make_migration_engine,
    make_snapshot_engine,
    parse_database_url,
)
from cairn.db.failures import (
    CommitUnknown,
    DatabaseAway,
    DatabaseMisconfigured,
    acquiring,
    committing,
    is_connection_lost,
    is_retryable,
    translated,
)
from cairn.db.point_query import PointQuery, Row, SqlitePoints, make_point_reader

__all__ = [
    "CommitUnknown",
    "Database",
    "DatabaseAway",
    "DatabaseMisconfigured",
    "Dialect",
    "PointQuery",
    "Row",
    "announce",
    "is_connection_lost",
    "is_retryable",
    "open_database",
    "parse_database_url",
]

T = TypeVar("T")
_ATTEMPTS = 5
_PING_SECONDS = 2
_TOPICS = "cairn.topics"
_LISTENERS = "cairn.listeners"


class _Session(Session):
    """A session that tells its database's listeners, after a commit, what was announced in it."""


@event.listens_for(_Session, "after_commit")
def _tell(session: Session) -> None:
    for topic in session.info.pop(_TOPICS, ()):
        for listener in session.info[_LISTENERS]:
            listener(topic)


@event.listens_for(_Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(_TOPICS, None)


class _PatientSession(AsyncSession):
    """A session that waits for the database on the request's clock (``cairn.base.patience``)."""


def _patient(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def wait(*words: Any, **options: Any) -> Any:  # noqa: ANN401 (the method's own)
        async with waiting():
            return await method(*words, **options)

    return wait


# Everything of a session that speaks with the server; ``scalars`` and the streams go through ``execute``.
for _name in ("connection", "execute", "scalar", "get", "get_one", "refresh", "delete", "merge", "flush", "commit"):
    setattr(_PatientSession, _name, _patient(getattr(AsyncSession, _name)))


def announce(session: AsyncSession, topic: str) -> None:
    """Make the listeners of this process hear ``topic`` once the session's transaction is committed.

    It is only a wake-up: whoever needs certainty reads the tables.
    """
    session.info.setdefault(_TOPICS, set()).add(topic)


class Database:
    """One program's door to the database; ``open_database`` makes it, ``close`` ends it."""

    def __init__(self, url: str, *, pool_size: int) -> None:
        self.dialect, self.url = parse_database_url(url)
        self._write_engine = make_engine(self.dialect, self.url, pool_size=pool_size)
        # SQLite enforces read-only per connection, so reads have connections of their own.
        self._read_engine = (
            make_engine(self.dialect, self.url, pool_size=pool_size, for_reading=True)
            if self.dialect == "sqlite"
            else self._write_engine
        )
        self._points = make_point_reader(self.dialect, self.url)
        self._now = PointQuery(NOW_SQL[self.dialect])
        self._listeners: list[Callable[[str], None]] = []

    @property
    def engine(self) -> AsyncEngine:
        """The engine that may write: start-up checks and tests."""
        return self._write_engine

    def make_migration_engine(self) -> AsyncEngine:
        """Return an engine for ``cairn.db.migrate``: slow statements may finish. The caller disposes of it."""
        return make_migration_engine(self.dialect, self.url)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose transaction the database refuses to let write."""
        option = {"postgresql": "postgresql_readonly", "mysql": "readonly"}.get(self.dialect)
        async with self._session(self._read_engine) as session:
            async with acquiring():
                await session.connection(execution_options={option: True} if option else None)
            with translated():
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Yield a session and commit it at the end; an error rolls back. CommitUnknown says what it says."""
        async with self._session(self._write_engine) as session:
            async with acquiring():
                await session.connection()
            with translated():
                yield session
                # A constraint that fails must not look like an unknown outcome.
                await session.flush()
                with committing():
                    await session.commit()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees the database as it is at its first read, however long that takes.

        For reading everything: no statement has a time limit, and the database refuses writes.
        """
        engine = make_snapshot_engine(self.dialect, self.url)
        try:
            async with acquiring():
                connection = await engine.connect()
            try:
                with translated():
                    async with connection.begin():
                        yield connection
            finally:
                await connection.close()
        finally:
            await engine.dispose()

    async def now(self) -> datetime:
        """Return the database's time, outside any transaction: one point query."""
        row = await self.fetch(self._now)
        assert row is not None
        return as_utc(row["moment"])

    def begin(self) -> AsyncSession:
        """Return a session that may write and whose caller commits: only for the engine's ``land``.

        Use it as an async context manager; leaving it without a commit rolls back.
        """
        # Its caller has a limit of its own: pushes to one ref wait for each other.
        return self._session(self._write_engine, kind=AsyncSession)

    async def write_retrying(self, change: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run ``change`` in a write transaction, again (5 times at most) after a deadlock or lock timeout.

        ``change`` must be free of effects outside its session. An unknown COMMIT outcome is not retried.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self.write() as session:
                    return await change(session)
            except DatabaseAway as away:
                cause = away.__cause__
                is_worth_it = isinstance(cause, sql_errors.DBAPIError) and is_retryable(cause)
                if attempt == _ATTEMPTS or not is_worth_it:
                    raise
            await asyncio.sleep(0.02 * 2**attempt)
        raise AssertionError("unreachable")

    async def fetch(self, query: PointQuery, **values: object) -> Row | None:
        """Return the first row of a point query, or None. Runs outside any session, on its own connection."""
        rows = await self._points.fetch_all(query, values)
        return rows[0] if rows else None

    async def fetch_all(self, query: PointQuery, **values: object) -> Sequence[Row]:
        """Return all rows of a point query; keep the result small, it is read in one go."""
        return await self._points.fetch_all(query, values)

    def data_version(self) -> int | None:
        """Return a number that changes when any connection commits on SQLite, for the price of a function call.

        None elsewhere: there a wake-up comes over Redis, or by asking.
        """
        return self._points.data_version() if isinstance(self._points, SqlitePoints) else None

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call ``listener(topic)`` after each commit of this process in which ``topic`` was announced."""
        self._listeners.append(listener)

    async def ping(self) -> None:
        """Return when the database answered one query; DatabaseAway after 2 seconds."""
        try:
            async with asyncio.timeout(_PING_SECONDS), self.read() as session:
                await session.execute(text("SELECT 1"))
        except (sql_errors.SQLAlchemyError, OSError, TimeoutError) as error:
            raise DatabaseAway("The database does not answer.") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._points.close()
        await self._write_engine.dispose()
        if self._read_engine is not self._write_engine:
            await self._read_engine.dispose()

    def _session(self, engine: AsyncEngine, *, kind: type[AsyncSession] = _PatientSession) -> AsyncSession:
        return kind(engine, sync_session_class=_Session, expire_on_commit=False, info={_LISTENERS: self._listeners})


def open_database(url: str, *, pool_size: int) -> Database:
    """Return the database for a URL; nothing is connected yet."""
    return Database(url, pool_size=pool_size)
