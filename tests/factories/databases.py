"""Databases with Cairn's schema, one for each test alone.

``database`` runs a test on SQLite and PostgreSQL, ``any_database`` on MariaDB too (the data layer's tests). The
migrations run once a session and kind: SQLite's file is copied, a server's database is emptied and used again (15 ms,
where creating and dropping one takes 100), so row ids go on counting from test to test.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.services.mariadb import MariadbServer
from tests.services.postgresql import PostgresqlServer

from cairn.db.database import Database, open_database
from cairn.db.migrate import upgrade

POOL_SIZE = 5


async def _migrate(url: str) -> None:
    database = open_database(url, pool_size=1)
    try:
        await upgrade(database)
    finally:
        await database.close()


class Shelf:
    """Migrated databases of one server that no test uses at the moment."""

    def __init__(self, create: Callable[[], str], url: Callable[[str], str], empty: Callable[[str], None]) -> None:
        self._create = create
        self._url = url
        self._empty = empty
        self._free: list[str] = []

    def lend(self) -> Iterator[str]:
        """Yield the address of a migrated, empty database; take it back emptied."""
        if self._free:
            name = self._free.pop()
        else:
            name = self._create()
            asyncio.run(_migrate(self._url(name)))
        yield self._url(name)
        self._empty(name)
        self._free.append(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_shelf(postgresql_server: PostgresqlServer) -> Shelf:
    """Migrated databases on the session's PostgreSQL."""

    def empty(name: str) -> None:
        tables = postgresql_server.execute(
            "SELECT string_agg(quote_ident(tablename), ',') FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
            database=name,
        ).strip()
        deletes = "".join(f"DELETE FROM {table};" for table in tables.split(","))
        postgresql_server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid();"
            f"SET session_replication_role = replica; {deletes}",  # foreign keys do not matter: all rows go
            database=name,
        )

    return Shelf(postgresql_server.create_database, postgresql_server.url, empty)


@pytest.fixture(scope="session")
def mariadb_shelf(mariadb_server: MariadbServer) -> Shelf:
    """Migrated databases on the session's MariaDB."""

    def empty(name: str) -> None:
        tables = mariadb_server.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            " AND table_name <> 'alembic_version'",
            database=name,
        ).split()
        guarded = mariadb_server.execute(
            "SELECT DISTINCT event_object_table FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
            database=name,
        ).split()
        # TRUNCATE passes the triggers that refuse DELETE by; it costs more, so only where there are some.
        deletes = "".join(
            f"TRUNCATE TABLE `{table}`;" if table in guarded else f"DELETE FROM `{table}`;" for table in tables
        )
        mariadb_server.execute(f"SET innodb_lock_wait_timeout = 5, foreign_key_checks = 0; {deletes}", database=name)

    return Shelf(mariadb_server.create_database, mariadb_server.url, empty)


def _lend(dialect: str, request: pytest.FixtureRequest) -> Iterator[str]:
    if dialect == "sqlite":
        path = request.getfixturevalue("tmp_path") / "cairn.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        shelf: Shelf = request.getfixturevalue(f"{dialect}_shelf")
        yield from shelf.lend()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """``CAIRN_DATABASE_URL`` of a migrated database of this test's own: SQLite and PostgreSQL."""
    yield from _lend(request.param, request)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def any_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """``CAIRN_DATABASE_URL`` of a migrated database of this test's own: all three."""
    yield from _lend(request.param, request)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def empty_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database without any table: all three."""
    if request.param == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('tmp_path') / 'cairn.db'}"
    else:
        yield request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database of this test's own: SQLite and PostgreSQL."""
    async for opened in _opened(database_url):
        yield opened


@pytest.fixture
async def any_database(any_database_url: str) -> AsyncIterator[Database]:
    """An open database of this test's own: all three."""
    async for opened in _opened(any_database_url):
        yield opened


async def _opened(url: str) -> AsyncIterator[Database]:
    opened = open_database(url, pool_size=POOL_SIZE)
    try:
        yield opened
    finally:
        await opened.close()
