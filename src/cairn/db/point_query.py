"""Point queries: one prepared read on a driver connection of its own, for hot paths.

They cost some microseconds on SQLite and one round trip elsewhere, where a session costs a millisecond. A column may be
an integer, text, bytes, a truth value (0 or 1 where the database has none) or NULL; a time comes in the database's own
form, which ``cairn.db.clock.as_utc`` reads.
"""

import asyncio
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import URL, TextClause, text
from sqlalchemy.exc import DBAPIError

from cairn.db.connect import CONNECT_SECONDS, Dialect, make_point_engine, postgresql_creator
from cairn.db.failures import DatabaseAway, acquiring, is_away

if TYPE_CHECKING:
    import asyncpg

Row = Mapping[str, Any]
_CONNECTIONS = 4
_BUSY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class PointQuery:
    """One read with named parameters (``:name``), written in the SQL all three databases share."""

    sql: str
    names: tuple[str, ...] = field(init=False)
    numbered: str = field(init=False)
    positional: str = field(init=False)
    clause: TextClause = field(init=False, compare=False)

    def __post_init__(self) -> None:
        names: list[str] = []

        def number(match: re.Match[str]) -> str:
            if match[1] not in names:
                names.append(match[1])
            return f"${names.index(match[1]) + 1}"

        numbered = re.sub(r"(?<!:):([a-z_]+)", number, self.sql)
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "numbered", numbered)
        object.__setattr__(self, "positional", self.sql)
        object.__setattr__(self, "clause", text(self.sql))


class PointReader(Protocol):
    """Runs point queries on one kind of database."""

    async def fetch_all(self, query: PointQuery, values: Mapping[str, object]) -> Sequence[Row]:
        """Return all rows; DatabaseAway when there is no answer in time."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def make_point_reader(dialect: Dialect, url: URL) -> PointReader:
    """Return the reader for a database; nothing is connected yet."""
    if dialect == "sqlite":
        return SqlitePoints(str(url.database))
    return PostgresqlPoints(url) if dialect == "postgresql" else MysqlPoints(url)


class SqlitePoints:
    """Reads on the event loop: a point read takes microseconds, a hop to a thread and back twenty times that."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def fetch_all(self, query: PointQuery, values: Mapping[str, object]) -> Sequence[Row]:
        """Return all rows; DatabaseAway when the file is locked or gone."""
        bound = {name: _naive(value).isoformat(" ", "microseconds") if isinstance(value, datetime) else value
                 for name, value in values.items()}  # fmt: skip
        try:
            rows: list[Row] = self._connected().execute(query.positional, bound).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY}:
                raise
            raise DatabaseAway("The database does not answer; try again in a moment.") from error
        return rows

    def data_version(self) -> int:
        """Return a number that changes when another connection commits. Costs no I/O."""
        version: int = self._connected().execute("PRAGMA data_version").fetchone()["data_version"]
        return version

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, cached_statements=64)
            connection.row_factory = _as_dict
            connection.execute("PRAGMA query_only = ON")
            self._connection = connection
        return self._connection

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresqlPoints:
    """Reads through asyncpg's own pool, which keeps the statements prepared; the server refuses writes."""

    def __init__(self, url: URL) -> None:
        self._connect = postgresql_creator(url, CONNECT_SECONDS, default_transaction_read_only="on")
        self._pool: asyncpg.Pool | None = None
        self._lock = asyncio.Lock()

    async def fetch_all(self, query: PointQuery, values: Mapping[str, object]) -> Sequence[Row]:
        """Return all rows; a connection that turns out to be dead is replaced once."""
        arguments = [values[name] for name in query.names]
        async with acquiring():
            pool = await self._opened()
            try:
                found = await _fetch(pool, query.numbered, arguments)
            except Exception as error:
                if not is_away(error):
                    raise
                found = await _fetch(pool, query.numbered, arguments)
            return [dict(row) for row in found]

    async def _opened(self) -> "asyncpg.Pool":
        async with self._lock:
            if self._pool is None:
                import asyncpg

                # Nothing that a point query does outlives it, so a connection needs no reset between two.
                self._pool = await asyncpg.create_pool(
                    connect=self._connect, min_size=1, max_size=_CONNECTIONS, reset=_keep
                )
        return self._pool

    async def close(self) -> None:
        """Close every connection, by force if a query does not end."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()
            self._pool = None


class MysqlPoints:
    """Reads through connections in autocommit, so that a query is one round trip; the server refuses writes."""

    def __init__(self, url: URL) -> None:
        self._engine = make_point_engine(url, pool_size=_CONNECTIONS)

    async def fetch_all(self, query: PointQuery, values: Mapping[str, object]) -> Sequence[Row]:
        """Return all rows; a connection that turns out to be dead is replaced once."""
        bound = {name: _naive(value) if isinstance(value, datetime) else value for name, value in values.items()}
        async with acquiring():
            try:
                return await self._once(query, bound)
            except DBAPIError as error:
                if not is_away(error):
                    raise
                return await self._once(query, bound)

    async def _once(self, query: PointQuery, values: Mapping[str, object]) -> Sequence[Row]:
        async with self._engine.connect() as connection:
            result = await connection.execute(query.clause, values)
            return [dict(row) for row in result.mappings()]

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def _fetch(pool: "asyncpg.Pool", sql: str, arguments: Sequence[object]) -> "list[asyncpg.Record]":
    async with pool.acquire() as connection:
        try:
            found: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
        except (Exception, asyncio.CancelledError) as error:
            # Giving it back after a cancellation would wait until the server has confirmed that.
            if isinstance(error, asyncio.CancelledError) or is_away(error):
                connection.terminate()
            raise
    return found


async def _keep(connection: object) -> None:
    """Leave the session as it is."""


def _as_dict(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> dict[str, object]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def _naive(moment: datetime) -> datetime:
    assert moment.tzinfo is not None, "a naive datetime must not reach the database"
    return moment.astimezone(UTC).replace(tzinfo=None)
