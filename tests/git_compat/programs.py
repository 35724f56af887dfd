"""Cairn's real programs as child processes, for tests that look from outside: migrated, with one person in it."""

import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.git_repositories import ENVIRONMENT, StockRepository
from tests.services.ports import free_port
from tests.services.processes import ServerProcess

from cairn.access.roles import Visibility
from cairn.base.actor import Actor, ActorKind
from cairn.base.settings import Settings, load_settings
from cairn.db.database import open_database
from cairn.git.engine import open_engine
from cairn.identity.queries import find_account
from cairn.identity.ssh_keys import add_key
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.queries import RepositoryView
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.storage.storage import open_storage

T = TypeVar("T")
LOGIN = "ada"
PASSWORD = "correct horse battery staple"
CAIRND = [sys.executable, "-m", "cairn.programs.cairnd"]
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Installation:
    """A running Cairn: web and ssh. ``token`` and ``key`` belong to its one person, who owns every repository."""

    settings: Settings
    environ: Mapping[str, str]
    web: ServerProcess
    ssh: ServerProcess
    token: str
    key: Path

    @property
    def origin(self) -> str:
        """Where the web program answers."""
        return f"http://{self.settings.http_address}"

    def http_url(self, name: str, *, owner: str = LOGIN) -> str:
        """Return a clone address that carries the token."""
        return f"http://{LOGIN}:{self.token}@{self.settings.http_address}/{owner}/{name}.git"

    def ssh_url(self, name: str, *, owner: str = LOGIN) -> str:
        """Return a clone address for the person's key."""
        return f"ssh://git@{self.settings.ssh_address}/{owner}/{name}.git"

    def git_environment(self, home: Path, *, key: Path | None = None) -> dict[str, str]:
        """Return what stock git gets: a home of its own, the person's key, nothing of this machine."""
        home.mkdir(parents=True, exist_ok=True)
        ssh = (
            f"ssh -F none -i {key or self.key} -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR "
            "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        )
        return {**ENVIRONMENT, "HOME": str(home), "GIT_SSH_COMMAND": ssh}

    def create(self, name: str, *, visibility: Visibility = Visibility.PUBLIC) -> RepositoryView:
        """Make an empty repository."""
        return _in_a_thread(self._create(name, visibility))

    def change(self, repository: RepositoryView, change: RepositoryChange) -> RepositoryView:
        """Change a repository's settings."""
        return _in_a_thread(self._change(repository, change))

    async def _create(self, name: str, visibility: Visibility) -> RepositoryView:
        database = open_database(self.settings.effective_database_url, pool_size=1)
        try:
            async with open_engine(self._beside(), database, open_storage(self.settings)) as engine:
                async with database.read() as session:
                    actor = await _person(session)
                wanted = NewRepository(name=name, visibility=visibility)
                return await create_repository(database, engine, actor, wanted)
        finally:
            await database.close()

    async def _change(self, repository: RepositoryView, change: RepositoryChange) -> RepositoryView:
        database = open_database(self.settings.effective_database_url, pool_size=1)
        try:
            async with open_engine(self._beside(), database, open_storage(self.settings)) as engine:
                async with database.write() as session:
                    return await update_repository(session, engine, await _person(session), repository.id, change)
        finally:
            await database.close()

    def _beside(self) -> Settings:
        """Return settings with a cache of their own, as another node would have."""
        return msgspec.structs.replace(self.settings, cache_dir=self.settings.data_dir / "cache-of-the-test")


def _in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where the test has a loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _person(session: AsyncSession) -> Actor:
    account = await find_account(session, LOGIN)
    assert account is not None
    return Actor(ActorKind.USER, account_id=account.id, login=account.login)


@contextmanager
def running_installation(folder: Path, environ: Mapping[str, str]) -> Iterator[Installation]:
    """Migrate, add one person with token and key, run web and ssh until the block ends; their logs are in ``folder``.

    ``environ`` are the settings besides addresses and data folder.
    """
    given = {
        "CAIRN_DATA_DIR": str(folder / "data"),
        "CAIRN_HTTP_ADDRESS": f"127.0.0.1:{free_port()}",
        "CAIRN_SSH_ADDRESS": f"127.0.0.1:{free_port()}",
        "CAIRN_SECRET_KEY": "k" * 40,
        # Who polls readiness, as this harness does, is told of the stop for a third of this.
        "CAIRN_DRAIN_SECONDS": "3",
        **environ,
    }
    settings = load_settings(given)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    cairnd(inherited | given, "migrate")
    cairnd(inherited | given, "admin", "create-user", LOGIN, "--email", "ada@example.test", "--password", PASSWORD)
    token = cairnd(inherited | given, "admin", "create-token", LOGIN, "--scopes", "repo,delete_repo").strip()
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    asyncio.run(_add_key(settings, key.with_suffix(".pub").read_text()))
    with ExitStack() as stack:
        processes = {}
        for name, is_ready in (("ssh", lambda: True), ("web", lambda: _is_ready(settings))):
            process = ServerProcess([*CAIRND, name], log=folder / f"{name}.log", environ=given, is_ready=is_ready)
            stack.callback(process.stop)
            process.start()
            processes[name] = process
        yield Installation(settings, given, processes["web"], processes["ssh"], token, key)


def cairnd(environ: Mapping[str, str], *arguments: str) -> str:
    """Run a ``cairnd`` command to its end and return its output; RuntimeError with its errors if it fails."""
    done = subprocess.run(
        [*CAIRND, *arguments], env=dict(environ), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"cairnd {arguments[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


async def _add_key(settings: Settings, text: str) -> None:
    database = open_database(settings.effective_database_url, pool_size=1)
    try:
        async with database.write() as session:
            actor = await _person(session)
            assert actor.account_id is not None
            await add_key(session, actor, actor.account_id, title="test", text=text)
    finally:
        await database.close()


def _is_ready(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"http://{settings.http_address}/readyz", timeout=5) as answer:
            checks = msgspec.json.decode(answer.read())["checks"]
            # Not "durability": the test's PostgreSQL runs without fsync, and is listed for it.
            return all(checks[name]["status"] == "ok" for name in ("database", "schema", "storage", "ssh"))
    except (urllib.error.URLError, OSError):
        return False


def assert_equal(remote: str, local: StockRepository, folder: Path) -> StockRepository:
    """Check that a fresh mirror is sound by ``git fsck --strict`` and has exactly the local branches and tags.

    Returns the mirror.
    """
    mirror = StockRepository(folder, local.environment)
    StockRepository(folder.parent, local.environment).git("clone", "-q", "--mirror", remote, folder)
    mirror.git("fsck", "--strict", "--no-progress", "--no-dangling")
    wanted = local.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
    assert mirror.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags") == wanted
    return mirror
