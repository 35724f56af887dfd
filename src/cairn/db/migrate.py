"""Brings a database to this version's schema, and tells whether it is there.

Versions are numbered files, so what a program needs is known without Alembic, which is imported only to migrate.
"""

import asyncio
import fcntl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from cairn.base.errors import Misconfigured
from cairn.base.folders import make_folder
from cairn.base.log import get_logger
from cairn.db.database import Database, DatabaseAway, DatabaseMisconfigured
from cairn.db.failures import acquiring, is_away, is_retryable

MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = MIGRATIONS / "versions"
_LOCK_NAME = "cairn.migrate"
_LOCK_WAIT_SECONDS = 600
_LOCK_POLL_SECONDS = 0.2
_ATTEMPTS = 5

_log = get_logger(__name__)


RESTORE_TABLE = "restore_unfinished"
"""Exists while a backup is being restored; nothing but that restore may use the database meanwhile."""


class SchemaTooOld(Misconfigured):
    """The database lacks a version that this program needs."""


class RestoreUnfinished(Misconfigured):
    """A backup was being restored into this database and that did not end."""

    def __init__(self) -> None:
        super().__init__(
            "A backup is being restored into this database, or that was broken off: "
            "let it end, or run the same `cairnd backup restore` again."
        )


def head() -> int:
    """Return the number of the newest version this program knows."""
    return max((int(path.name[:4]) for path in VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py")), default=0)


async def schema_version(database: Database) -> int:
    """Return the number of the version the database is at; 0 if it is empty."""
    if database.dialect == "sqlite" and not Path(str(database.url.database)).exists():
        return 0
    async with database.read() as session:
        return await (await session.connection()).run_sync(_read_version)


async def is_current(database: Database) -> bool:
    """Tell whether this program may run on the database: it has every version this program knows.

    A newer schema is fine: versions expand first and contract a release later (docs/guides/database.md).
    """
    return await schema_version(database) >= head()


async def require_current(database: Database) -> None:
    """Return if this program may run on the database; SchemaTooOld says what to do."""
    found = await schema_version(database)
    if found < head():
        raise SchemaTooOld(
            f"The database is at schema version {found:04}, this program needs {head():04}: run `cairnd migrate` first."
        )


async def upgrade(database: Database, *, to: int | None = None, is_restoring: bool = False) -> int:
    """Bring the database to the newest version, or to version ``to``, and return the number it was at.

    ``is_restoring``: this is the restore, which alone may go on where RestoreUnfinished stops everybody else.
    Nodes that start together migrate once: the others wait here. A lock that the running programs hold for longer than
    5 seconds ends the attempt (tried 5 times), so a migration never makes them queue.
    """
    async with _alone(database) as connection:
        target = head() if to is None else to
        return await _upgrade_retrying(database, connection, target, is_restoring=is_restoring)


async def _upgrade_retrying(database: Database, connection: AsyncConnection, target: int, *, is_restoring: bool) -> int:
    before = await connection.run_sync(_read_version, is_restoring=is_restoring)
    await connection.rollback()
    if before >= target:
        return before
    # MySQL commits each statement, so a version that failed in its middle cannot simply start again there.
    attempts = 1 if database.dialect == "mysql" else _ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            await connection.run_sync(_run_alembic, target, transactional=database.dialect != "mysql")
            break
        except DBAPIError as error:
            if not is_away(error):
                raise
            if attempt == attempts or not is_retryable(error):
                raise DatabaseAway("The schema could not be changed: the tables are in use or the database went away. "
                                   "Run `cairnd migrate` again.") from error  # fmt: skip
        await connection.rollback()
        await asyncio.sleep(2**attempt)
    _log.info("schema_upgraded", before=before, after=target)
    return before


def _run_alembic(connection: Connection, target: int, *, transactional: bool) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, transactional_ddl=transactional)
    command.upgrade(config, f"{target:04}")


def _read_version(connection: Connection, *, is_restoring: bool = False) -> int:
    tables = inspect(connection).get_table_names()
    if RESTORE_TABLE in tables and not is_restoring:
        raise RestoreUnfinished
    if "alembic_version" not in tables:
        return 0
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found is None:
        return 0
    if not str(found).isdecimal():
        raise DatabaseMisconfigured(
            f"The database at CAIRN_DATABASE_URL belongs to another program (version {found!r})."
        )
    return int(found)


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[AsyncConnection]:
    """Yield a connection that holds the lock only one migration of this database can hold; a dead holder's is free."""
    if database.dialect == "sqlite":
        with _open_lock_file(Path(str(database.url.database))) as file:
            # Before there is a connection: opening one prepares the file, which cannot be while another migrates it.
            await _poll(lambda: _lock_file(file))
            async with _connected(database) as connection:
                yield connection
        return
    async with _connected(database) as connection, _locked(database, connection):
        yield connection


def _open_lock_file(database: Path) -> IO[str]:
    try:
        make_folder(database.parent)
        return Path(f"{database}.migrating").open("a")
    except OSError as error:
        raise DatabaseMisconfigured(
            f"the database's folder {str(database.parent)!r} cannot be made or written ({error.strerror}); "
            "set CAIRN_DATA_DIR or CAIRN_DATABASE_URL to a place that can be written"
        ) from None


@asynccontextmanager
async def _connected(database: Database) -> AsyncIterator[AsyncConnection]:
    engine = database.make_migration_engine()
    try:
        async with acquiring():
            connection = await engine.connect()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


@asynccontextmanager
async def _locked(database: Database, connection: AsyncConnection) -> AsyncIterator[None]:
    key = zlib.crc32(f"{_LOCK_NAME}/{database.url.database}".encode())
    ask, free = (
        ("SELECT pg_try_advisory_lock(:key)", "SELECT pg_advisory_unlock(:key)")
        if database.dialect == "postgresql"
        else (
            "SELECT GET_LOCK(CONCAT('cairn.migrate.', :key), 0)",
            "SELECT RELEASE_LOCK(CONCAT('cairn.migrate.', :key))",
        )
    )

    async def lock() -> bool:
        got = await connection.scalar(text(ask), {"key": key})
        await connection.rollback()  # the lock is the session's; an open transaction would make Alembic join it
        return bool(got)

    await _poll(lock)
    try:
        yield
    finally:
        if not connection.invalidated:
            await connection.rollback()
            await connection.scalar(text(free), {"key": key})
            await connection.rollback()


async def _poll(lock: Callable[[], Awaitable[bool]]) -> None:
    try:
        async with asyncio.timeout(_LOCK_WAIT_SECONDS):
            while not await lock():  # noqa: ASYNC110 (the holder is another process)
                await asyncio.sleep(_LOCK_POLL_SECONDS)
    except TimeoutError:
        raise DatabaseAway(
            f"Another `cairnd migrate` has held the lock for {_LOCK_WAIT_SECONDS} s; look at it first."
        ) from None


async def _lock_file(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
