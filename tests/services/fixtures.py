"""Pytest fixtures over the private servers: one server a session, a fresh database or bucket a test.

Where a server is not installed, the test is skipped with the reason.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TypeVar

import pytest
from tests.services.azure import AzureServer, installed_azurite
from tests.services.azure import azure_server as run_azure
from tests.services.mariadb import MariadbServer
from tests.services.mariadb import mariadb_server as run_mariadb
from tests.services.postgresql import PostgresqlServer
from tests.services.postgresql import postgresql_server as run_postgresql
from tests.services.processes import ServiceMissing
from tests.services.redis import RedisServer
from tests.services.redis import redis_server as run_redis
from tests.services.s3 import S3Server, installed_versitygw
from tests.services.s3 import moto_server as run_moto
from tests.services.s3 import versitygw_server as run_versitygw

T = TypeVar("T")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers of tests that reach a server by ``getfixturevalue``."""
    config.addinivalue_line("markers", "s3_server: wants the real S3 server built before the first test runs")
    config.addinivalue_line("markers", "azure_server: wants the Azure emulator installed before the first test runs")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build or install what collected tests want, before any test's time limit runs."""
    if session.config.option.collectonly:
        return
    for name, install in (("s3_server", installed_versitygw), ("azure_server", installed_azurite)):
        if any(name in getattr(item, "fixturenames", ()) or item.get_closest_marker(name) for item in session.items):
            with suppress(ServiceMissing):  # the fixture tells the reason at each test
                install()


def started(server: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
    """Run a server for the length of a fixture; skip the test where it is not installed."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server())
        except ServiceMissing as missing:
            pytest.skip(str(missing))
        yield running


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that does not wait for the disk at commit, but is safe enough for Cairn to start on it."""
    yield from started(lambda: run_postgresql(fsync=True, options=("synchronous_commit=off",)))


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The address of an empty PostgreSQL database of this test's own."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A MariaDB server that does not wait for the disk."""
    yield from started(run_mariadb)


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[str]:
    """The address of an empty MariaDB database of this test's own."""
    name = mariadb_server.create_database()
    yield mariadb_server.url(name)
    mariadb_server.drop_database(name)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server that saves nothing."""
    yield from started(run_redis)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of the Redis server, emptied for this test."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The real S3 server (versitygw): it checks signatures and keeps objects as files."""
    yield from started(run_versitygw)


@pytest.fixture
def s3_url(s3_server: S3Server) -> str:
    """``CAIRN_STORAGE_URL`` of an empty bucket on the real S3 server."""
    return s3_server.storage_url(s3_server.create_bucket())


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """The quick S3 server (moto): it checks no signatures, so it never stands alone."""
    yield from started(run_moto)


@pytest.fixture
def moto_url(moto_server: S3Server) -> str:
    """``CAIRN_STORAGE_URL`` of an empty bucket on the quick S3 server."""
    return moto_server.storage_url(moto_server.create_bucket())


@pytest.fixture(scope="session")
def azure_server() -> Iterator[AzureServer]:
    """The Azure Blob emulator: it checks signatures."""
    yield from started(run_azure)


@pytest.fixture
def azure_url(azure_server: AzureServer) -> str:
    """``CAIRN_STORAGE_URL`` of an empty container on the emulator."""
    return azure_server.storage_url()
