"""One running installation for each kind of it, a fresh empty repository for each test, over both doors."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository
from tests.git_compat.programs import Installation, running_installation
from tests.services.postgresql import PostgresqlServer
from tests.services.s3 import S3Server

from cairn.repositories.queries import RepositoryView


@dataclass
class Place:
    """An empty repository on a running Cairn, by one door, and a folder for clients."""

    installation: Installation
    door: str
    repository: RepositoryView
    folder: Path
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Give git a home of its own."""
        self.environment = self.installation.git_environment(self.folder / "home")

    @property
    def url(self) -> str:
        """The repository's address by this door."""
        name = self.repository.name
        return self.installation.http_url(name) if self.door == "http" else self.installation.ssh_url(name)

    def client(self, name: str = "client") -> StockRepository:
        """Make a new repository with this one as ``origin``."""
        repository = StockRepository(self.folder / name, self.environment)
        repository.path.mkdir()
        repository.git("init", "-q", "-b", "main")
        repository.git("remote", "add", "origin", self.url)
        return repository

    def clone(self, name: str, *options: str) -> StockRepository:
        """Clone the repository."""
        here = StockRepository(self.folder, self.environment)
        here.git("clone", "-q", *options, self.url, name)
        return StockRepository(self.folder / name, self.environment)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Cairn on SQLite and a folder."""
    with running_installation(tmp_path_factory.mktemp("embedded"), {}) as running:
        yield running


@pytest.fixture(scope="session")
def on_servers(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer, s3_server: S3Server
) -> Iterator[Installation]:
    """Cairn on PostgreSQL and a real S3 server."""
    environ = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": s3_server.storage_url(s3_server.create_bucket()),
    }
    with running_installation(tmp_path_factory.mktemp("servers"), environ) as running:
        yield running


@pytest.fixture(
    params=[
        "embedded-http",
        "embedded-ssh",
        pytest.param("on_servers-http", marks=pytest.mark.s3_server),
        pytest.param("on_servers-ssh", marks=pytest.mark.s3_server),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty repository of this test's own: on both kinds of installation, by both doors."""
    kind, _, door = request.param.partition("-")
    installation: Installation = request.getfixturevalue(kind)
    return Place(installation, door, installation.create(f"r-{secrets.token_hex(5)}"), tmp_path)
