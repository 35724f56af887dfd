"""How each database is connected to: the URL, the driver, the pool and what every session is told first."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from cairn.db.failures import ACQUIRE_SECONDS, DatabaseMisconfigured

Dialect = Literal["sqlite", "postgresql", "mysql"]

_DRIVERS: dict[str, tuple[Dialect, str]] = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql", "postgresql+asyncpg"),
    "postgres": ("postgresql", "postgresql+asyncpg"),
    "mysql": ("mysql", "mysql+asyncmy"),
    "mariadb": ("mysql", "mysql+asyncmy"),
}
CONNECT_SECONDS = 5
LOCK_SECONDS = 5
IDLE_SECONDS = 30
STATEMENT_SECONDS = 60
SNAPSHOT_PAUSE_SECONDS = 3600


def _is_an_error(record: logging.LogRecord) -> bool:
    """Tell a defect from a request that was cancelled: its connection is closed with it, as it should be."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


for _pool in (AsyncAdaptedQueuePool, NullPool):
    logging.getLogger(f"{_pool.__module__}.{_pool.__name__}").addFilter(_is_an_error)


def parse_database_url(url: str) -> tuple[Dialect, URL]:
    """Return the dialect and SQLAlchemy's URL with our driver; DatabaseMisconfigured names what is allowed."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseMisconfigured(
            "CAIRN_DATABASE_URL is no URL; write sqlite:///FILE, postgresql://… or mysql://…"
        ) from None
    found = _DRIVERS.get(parsed.drivername.split("+")[0])
    if found is None:
        raise DatabaseMisconfigured(
            f"CAIRN_DATABASE_URL starts with {parsed.drivername!r}; Cairn speaks sqlite, postgresql and mysql"
        )
    dialect, driver = found
    if dialect == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise DatabaseMisconfigured("CAIRN_DATABASE_URL: SQLite wants a file; sqlite:///FILE")
    if dialect == "mysql":
        _mysql_tls(parsed)
    return dialect, parsed.set(drivername=driver)


def make_engine(dialect: Dialect, url: URL, *, pool_size: int, for_reading: bool = False) -> AsyncEngine:
    """Return an engine whose pool never waits longer than ``ACQUIRE_SECONDS``; nothing is connected yet.

    ``for_reading`` concerns SQLite, which refuses writes per connection.
    """
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": ACQUIRE_SECONDS}
    if dialect == "sqlite":
        # One writer a process: queueing in the pool is fairer than SQLite's busy handler.
        options |= {"pool_size": pool_size if for_reading else 1}
    else:
        # Spares the first requests after a restart or failover an error.
        options |= {"pool_pre_ping": True, "pool_recycle": 1800, "isolation_level": "READ COMMITTED"}
    return _create(dialect, url, statement_seconds=STATEMENT_SECONDS, for_reading=for_reading, **options)


def make_migration_engine(dialect: Dialect, url: URL) -> AsyncEngine:
    """Return an engine for one connection whose statements may take as long as they need but wait for no lock."""
    return _create(dialect, url, statement_seconds=None, for_reading=False, poolclass=NullPool)


def make_snapshot_engine(dialect: Dialect, url: URL) -> AsyncEngine:
    """Return an engine for one connection whose transaction reads one state of everything, for as long as it takes."""
    if dialect == "sqlite":
        return _create(dialect, url, statement_seconds=None, for_reading=True, poolclass=NullPool)
    readonly = {"postgresql_readonly": True} if dialect == "postgresql" else {"readonly": True}
    engine = _create(
        dialect,
        url,
        statement_seconds=None,
        for_reading=False,
        poolclass=NullPool,
        isolation_level="REPEATABLE READ",
        execution_options=readonly,
    )
    if dialect == "mysql":

        @event.listens_for(engine.sync_engine, "connect")
        def _connect(dbapi: Any, record: object) -> None:  # noqa: ANN401 (the driver's adapter)
            # A reader that stops to compress is not a dead one.
            _execute(dbapi, f"SET SESSION wait_timeout = {SNAPSHOT_PAUSE_SECONDS}, "
                            f"net_write_timeout = {SNAPSHOT_PAUSE_SECONDS}")  # fmt: skip

    return engine


def make_point_engine(url: URL, *, pool_size: int) -> AsyncEngine:
    """Return MySQL's engine for point queries: one round trip each, and the server refuses writes."""
    engine = _create(
        "mysql",
        url,
        statement_seconds=STATEMENT_SECONDS,
        for_reading=False,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=ACQUIRE_SECONDS,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(dbapi: Any, record: object) -> None:  # noqa: ANN401 (the driver's adapter)
        _execute(dbapi, "SET SESSION TRANSACTION READ ONLY")

    return engine


def _create(
    dialect: Dialect, url: URL, *, statement_seconds: int | None, for_reading: bool, **options: object
) -> AsyncEngine:
    if dialect == "postgresql":
        engine = create_async_engine(url, async_creator=postgresql_creator(url, statement_seconds), **options)
        # The driver reads its sockets all the time and knows whom the server left: asking would be three round trips.
        engine.sync_engine.dialect.do_ping = _is_open  # type: ignore[method-assign]
        # What became unusable is left at once: a goodbye to a silent server takes two seconds, and somebody waits.
        engine.sync_engine.dialect.do_terminate = _leave  # type: ignore[method-assign]
        return engine
    if dialect == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": LOCK_SECONDS}, **options)
        _prepare_sqlite(engine, for_reading=for_reading)
        return engine
    # The driver logs each of MySQL's notes as a warning ("name ignored for PRIMARY key"); errors are raised anyway.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS}
    if (tls := _mysql_tls(url)) is not None:
        arguments["ssl"] = tls
    engine = create_async_engine(url.set(query={}), connect_args=arguments, **options)
    _prepare_mysql(engine)
    return engine


def _is_open(dbapi_connection: Any) -> bool:  # noqa: ANN401 (the driver's adapter)
    return not dbapi_connection.driver_connection.is_closed()


def _leave(dbapi_connection: Any) -> None:  # noqa: ANN401 (the driver's adapter)
    dbapi_connection.driver_connection.terminate()


def postgresql_creator(url: URL, statement_seconds: int | None, **session: str) -> Callable[..., Any]:
    """Return an async function that opens one asyncpg connection; ``session`` are further server settings.

    The URL goes to the driver as it is, so that what libpq allows in it (``sslmode``, ``sslrootcert``) works.
    """
    import asyncpg  # a megabyte or three that SQLite does without

    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    settings = _postgresql_session(statement_seconds) | session
    # The server ends a slow statement first, with an error that says so; this catches a server that fell silent.
    deadline = None if statement_seconds is None else statement_seconds + CONNECT_SECONDS

    async def create(*_: object, **__: object) -> asyncpg.Connection:
        return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, command_timeout=deadline, server_settings=settings)

    return create


def _postgresql_session(statement_seconds: int | None) -> dict[str, str]:
    return {
        "application_name": "cairn",
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s" if statement_seconds else "0",
        "statement_timeout": f"{statement_seconds or 0}s",
        "jit": "off",
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


def _prepare_sqlite(engine: AsyncEngine, *, for_reading: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _connect(dbapi: Any, record: object) -> None:  # noqa: ANN401 (the driver's adapter)
        dbapi.isolation_level = None
        for pragma in (
            f"busy_timeout = {LOCK_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"query_only = {'ON' if for_reading else 'OFF'}",
        ):
            _execute(dbapi, f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if for_reading else "BEGIN IMMEDIATE")

    @event.listens_for(engine.sync_engine, "invalidate")
    def _invalidate(dbapi: Any, record: object, error: object) -> None:  # noqa: ANN401 (the driver's adapter)
        # A cancelled statement would go on in its thread long after nobody wants it. Closing does not end its
        # transaction while anything still refers to a cursor, so the write lock is given back by name.
        driver = dbapi.driver_connection
        driver._conn.interrupt()  # noqa: SLF001 (aiosqlite's public methods would be awaited)
        driver._tx.put_nowait((None, driver._conn.rollback))  # noqa: SLF001


def _prepare_mysql(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _connect(dbapi: Any, record: object) -> None:  # noqa: ANN401 (the driver's adapter)
        # wait_timeout is MySQL's only bound on a dead node's row locks; the pool replaces what it closes.
        _execute(
            dbapi,
            f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}, lock_wait_timeout = {LOCK_SECONDS}, "
            f"time_zone = '+00:00', wait_timeout = {IDLE_SECONDS}, "
            "sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'",
        )

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("readonly"):
            connection.exec_driver_sql("START TRANSACTION READ ONLY")


def _execute(dbapi: Any, sql: str) -> None:  # noqa: ANN401 (the driver's adapter)
    cursor = dbapi.cursor()
    cursor.execute(sql)
    cursor.close()


def _mysql_tls(url: URL) -> ssl.SSLContext | None:
    """Return what ``?ssl=verify`` or ``?ssl=verify&ssl_ca=FILE`` asks for; DatabaseMisconfigured for anything else."""
    unknown = set(url.query) - {"ssl", "ssl_ca"}
    if unknown or url.query.get("ssl", "verify") != "verify":
        raise DatabaseMisconfigured(
            "CAIRN_DATABASE_URL: after the ? a mysql:// URL may say ssl=verify and ssl_ca=FILE, nothing else"
        )
    if not url.query:
        return None
    authority = url.query.get("ssl_ca")
    try:
        return ssl.create_default_context(cafile=authority if isinstance(authority, str) else None)
    except (OSError, ssl.SSLError) as error:
        raise DatabaseMisconfigured(f"CAIRN_DATABASE_URL: ssl_ca={authority!r} cannot be read ({error})") from None
