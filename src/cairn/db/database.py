"""The database: engines, the session edge, and prepared point queries for hot paths.

``read()`` gives a transaction in which the database itself refuses writes; ``write()`` commits at its end. Functions
below the edge flush, never commit. ``Database.fetch`` runs one prepared statement on a driver connection of its own:
some microseconds on SQLite and one round trip elsewhere, where a session costs a millisecond.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import asyncpg
from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from cairn.base.errors import CairnError, Unavailable

Dialect = Literal["sqlite", "postgresql", "mysql"]
Row = Mapping[str, Any]
T = TypeVar("T")

_DRIVERS: dict[str, tuple[Dialect, str]] = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql", "postgresql+asyncpg"),
    "postgres": ("postgresql", "postgresql+asyncpg"),
    "mysql": ("mysql", "mysql+asyncmy"),
    "mariadb": ("mysql", "mysql+asyncmy"),
}
_RETRIED_STATES = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout
_RETRIED_ERRNOS = {1213, 1205}  # MySQL: deadlock, lock wait timeout
_ATTEMPTS = 5
_LOCK_SECONDS = 5
_IDLE_SECONDS = 30
_STATEMENT_SECONDS = 60
_CONNECT_SECONDS = 5
_HOT_CONNECTIONS = 4


class DatabaseMisconfigured(CairnError):
    """The database URL cannot be used, or a setting that durability needs is off."""


class DatabaseAway(Unavailable):
    """The database did not answer in time."""


@dataclass(frozen=True, slots=True)
class PointQuery:
    """One read with named parameters (``:name``), written in the SQL all three databases share."""

    sql: str
    names: tuple[str, ...] = field(init=False)
    numbered: str = field(init=False)
    positional: str = field(init=False)

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


def parse_database_url(url: str) -> tuple[Dialect, URL]:
    """Return the dialect and SQLAlchemy's URL with our driver; DatabaseMisconfigured names what is allowed."""
    try:
        parsed = make_url(url)
    except Exception:
        raise DatabaseMisconfigured(
            "CAIRN_DATABASE_URL is no URL; write sqlite:///FILE, postgresql://… or mysql://…"
        ) from None
    found = _DRIVERS.get(parsed.drivername.split("+")[0])
    if found is None:
        raise DatabaseMisconfigured(
            f"CAIRN_DATABASE_URL starts with {parsed.drivername!r}; Cairn speaks sqlite, postgresql and mysql"
        )
    dialect, driver = found
    return dialect, parsed.set(drivername=driver)


class Database:
    """One program's door to the database; ``open_database`` makes it, ``close`` ends it."""

    def __init__(self, url: str, *, pool_size: int) -> None:
        self.dialect, self.url = parse_database_url(url)
        self._pool_size = pool_size
        self._write_engine = self._make_engine(for_reading=False)
        # SQLite enforces read-only per connection, so reads have connections of their own.
        self._read_engine = self._make_engine(for_reading=True) if self.dialect == "sqlite" else self._write_engine
        self._hot_sqlite: sqlite3.Connection | None = None
        self._hot_pool: asyncpg.Pool | None = None
        self._hot_lock = asyncio.Lock()

    @property
    def engine(self) -> AsyncEngine:
        """The engine that may write: migrations and start-up checks."""
        return self._write_engine

    def _make_engine(self, *, for_reading: bool) -> AsyncEngine:
        if self.dialect == "sqlite":
            options: dict[str, Any] = {"connect_args": {"timeout": _LOCK_SECONDS}}
            if self.url.database in {None, "", ":memory:"}:
                raise DatabaseMisconfigured("CAIRN_DATABASE_URL: SQLite wants a file; sqlite:///FILE")
            # One writer a process: queueing in the pool is fairer than SQLite's busy handler.
            options |= {"pool_size": self._pool_size if for_reading else 1, "max_overflow": 0, "pool_timeout": 10}
        else:
            options = {
                "pool_size": self._pool_size,
                "max_overflow": 0,
                "pool_timeout": 10,
                "pool_pre_ping": False,
                "pool_recycle": 1800,
                "isolation_level": "READ COMMITTED",
                "connect_args": self._connect_args(),
            }
        engine = create_async_engine(self.url, **options)
        if self.dialect == "sqlite":
            _prepare_sqlite(engine, for_reading=for_reading)
        elif self.dialect == "mysql":
            _prepare_mysql(engine)
        return engine

    def _connect_args(self) -> dict[str, Any]:
        if self.dialect == "postgresql":
            return {
                "timeout": _CONNECT_SECONDS,
                "command_timeout": _STATEMENT_SECONDS,
                "server_settings": _postgresql_session(),
            }
        return {"connect_timeout": _CONNECT_SECONDS}

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose transaction the database refuses to let write."""
        async with AsyncSession(self._read_engine, expire_on_commit=False) as session:
            with _translated():
                if self.dialect != "sqlite":
                    options = {"postgresql_readonly": True} if self.dialect == "postgresql" else {"readonly": True}
                    await session.connection(execution_options=options)
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Yield a session and commit it at the end; an error rolls back."""
        async with AsyncSession(self._write_engine, expire_on_commit=False) as session:
            with _translated():
                yield session
                await session.commit()

    async def write_retrying(self, change: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run ``change`` in a write transaction, again (5 times at most) after a deadlock or lock timeout.

        ``change`` must be free of effects outside its session. An unknown COMMIT outcome is not retried.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with AsyncSession(self._write_engine, expire_on_commit=False) as session:
                    result = await change(session)
                    await session.commit()
                    return result
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not is_retryable(error):
                    raise
            await asyncio.sleep(0.02 * 2**attempt)
        raise AssertionError("unreachable")

    async def fetch(self, query: PointQuery, **values: object) -> Row | None:
        """Return the first row of a point query, or None. Runs outside any session, on its own connection."""
        rows = await self.fetch_all(query, **values)
        return rows[0] if rows else None

    async def fetch_all(self, query: PointQuery, **values: object) -> Sequence[Row]:
        """Return all rows of a point query; keep the result small, it is read in one go."""
        try:
            if self.dialect == "sqlite":
                # A point read takes microseconds; a hop to a thread and back would take twenty times that.
                return self._hot_sqlite_connection().execute(query.positional, values).fetchall()
            if self.dialect == "postgresql":
                pool = await self._hot_postgresql_pool()
                async with asyncio.timeout(_STATEMENT_SECONDS):
                    found: Sequence[Row] = await pool.fetch(query.numbered, *(values[name] for name in query.names))
                    return found
            async with self._read_engine.connect() as connection:
                result = await connection.execute(text(query.sql), values)
                return [dict(row) for row in result.mappings()]
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            InterfaceError,
            OperationalError,
            sqlite3.OperationalError,
        ) as error:
            raise DatabaseAway("The database does not answer; try again in a moment.") from error

    def _hot_sqlite_connection(self) -> sqlite3.Connection:
        if self._hot_sqlite is None:
            connection = sqlite3.connect(
                str(self.url.database), timeout=0.5, isolation_level=None, cached_statements=64
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA query_only = ON")
            self._hot_sqlite = connection
        return self._hot_sqlite

    async def _hot_postgresql_pool(self) -> asyncpg.Pool:
        if self._hot_pool is None:
            async with self._hot_lock:
                if self._hot_pool is None:
                    self._hot_pool = await asyncpg.create_pool(
                        self.url.set(drivername="postgresql").render_as_string(hide_password=False),
                        min_size=1,
                        max_size=_HOT_CONNECTIONS,
                        timeout=_CONNECT_SECONDS,
                        command_timeout=_STATEMENT_SECONDS,
                        server_settings=_postgresql_session() | {"default_transaction_read_only": "on"},
                        # READ COMMITTED statements outside a transaction need no reset between uses.
                        reset=_keep,
                    )
        return self._hot_pool

    async def ping(self) -> None:
        """Return when the database answered one query; DatabaseAway after 2 seconds."""
        try:
            async with asyncio.timeout(2):
                async with self._read_engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
        except (DBAPIError, OSError, TimeoutError) as error:
            raise DatabaseAway("The database does not answer.") from error

    async def close(self) -> None:
        """Close every connection."""
        if self._hot_sqlite is not None:
            self._hot_sqlite.close()
            self._hot_sqlite = None
        if self._hot_pool is not None:
            await self._hot_pool.close()
            self._hot_pool = None
        await self._write_engine.dispose()
        if self._read_engine is not self._write_engine:
            await self._read_engine.dispose()


async def _keep(connection: object) -> None:
    """Leave the session as it is: point queries change nothing in it."""


def _postgresql_session() -> dict[str, str]:
    return {
        "application_name": "cairn",
        "lock_timeout": f"{_LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
        "statement_timeout": f"{_STATEMENT_SECONDS}s",
        "jit": "off",
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


def _prepare_sqlite(engine: AsyncEngine, *, for_reading: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _connect(dbapi: Any, record: object) -> None:  # noqa: ANN401 (the driver's adapter)
        dbapi.isolation_level = None
        cursor = dbapi.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"busy_timeout = {_LOCK_SECONDS * 1000}",
            f"query_only = {'ON' if for_reading else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if for_reading else "BEGIN IMMEDIATE")


def _prepare_mysql(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _connect(dbapi: Any, record: object) -> None:  # noqa: ANN401 (the driver's adapter)
        cursor = dbapi.cursor()
        cursor.execute(
            f"SET SESSION innodb_lock_wait_timeout = {_LOCK_SECONDS}, time_zone = '+00:00', "
            "sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'"
        )
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("readonly"):
            connection.exec_driver_sql("START TRANSACTION READ ONLY")


def is_retryable(error: DBAPIError) -> bool:
    """Tell whether the database rolled the transaction back only because of other transactions."""
    original = error.orig
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state in _RETRIED_STATES:
        return True
    arguments = getattr(original, "args", ())
    if arguments and arguments[0] in _RETRIED_ERRNOS:
        return True
    return "database is locked" in str(original)


def is_connection_lost(error: BaseException) -> bool:
    """Tell whether the outcome of a statement is unknown because the connection ended."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, InterfaceError | OperationalError)
    return isinstance(error, OSError | TimeoutError | asyncpg.PostgresConnectionError | asyncpg.InterfaceError)


class _translated:  # noqa: N801 (used as a with-statement only)
    """Turn a lost database into DatabaseAway; every other error passes."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError) and (error.connection_invalidated or is_retryable(error)):
            raise DatabaseAway("The database is away or busy; try again in a moment.") from error
        if isinstance(error, ConnectionError):
            raise DatabaseAway("The database does not answer; try again in a moment.") from error


def open_database(url: str, *, pool_size: int) -> Database:
    """Return the database for a URL; nothing is connected yet."""
    return Database(url, pool_size=pool_size)
