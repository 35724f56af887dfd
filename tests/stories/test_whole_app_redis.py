"""F4: Redis gone at the start, back, emptied, and gone in the middle: everything works, jobs run by polling."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.services.fixtures import started
from tests.services.ports import wait_until
from tests.services.redis import RedisServer, redis_server
from tests.stories.browser import Browser
from tests.stories.installation import PASSWORD, Installation, commit_file, git, installation, working_copy
from tests.stories.people import join

JOB_SECONDS = 5
JOBS = 30


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    yield from started(redis_server)


@dataclass
class World:
    """A running Cairn, and Ada at work."""

    cairn: Installation
    redis: RedisServer
    client: httpx2.Client
    token: str
    work: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.cairn.folder / "data" / "cairn.db"

    def everything_works(self, folder: Path) -> None:
        """Push, clone, sign in and have a job done."""
        url = self.cairn.url("ada/engine", user="ada", secret=self.token)
        commit_file(self.work, folder.name, "written\n")
        git("push", url, "main", cwd=self.work)
        git("clone", "-q", url, folder / "clone")
        assert (folder / "clone" / folder.name).exists()
        with Browser(self.cairn.client()) as browser:
            browser.open("/login")
            assert browser.submit(name="ada", password="wrong").status_code == 422
            done = browser.submit(name="ada", password=PASSWORD)
            assert (done.status_code, done.url.path) == (200, "/")
        self.do_jobs(1)

    def add_jobs(self, count: int) -> list[int]:
        """Enqueue jobs as a transaction of another program would, and return their ids."""
        sql = (
            "INSERT INTO job (kind, payload, run_again, state, due_at, attempts, fencing, created_at) "
            "VALUES ('schedule:jobs.retention', '{}', 0, 'waiting', '2026-01-01 00:00:00.000000', 0, 0, "
            "'2026-01-01 00:00:00.000000') RETURNING id"
        )
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            ids = [int(connection.execute(sql).fetchone()[0]) for _ in range(count)]
            connection.commit()
        return ids

    def do_jobs(self, count: int) -> None:
        """Enqueue jobs and return when each was done once; TimeoutError after 5 s."""
        self.wait_for(self.add_jobs(count))

    def wait_for(self, ids: list[int]) -> None:
        """Return when these jobs are done, each with one attempt."""

        def states() -> set[tuple[str, int]]:
            marks = ",".join(map(str, ids))
            with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
                return set(connection.execute(f"SELECT state, attempts FROM job WHERE id IN ({marks})"))

        wait_until(lambda: {state for state, _ in states()} == {"done"}, within_seconds=JOB_SECONDS, what="jobs done")
        assert states() == {("done", 1)}

    def status_becomes(self, status: str) -> None:
        """Return when the health page says so."""
        wait_until(lambda: self.cairn.readiness().get("status") == status, within_seconds=20, what=status)


@pytest.fixture(scope="module")
def world(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Cairn started while Redis is away."""
    folder = tmp_path_factory.mktemp("redis")
    redis.process.stop()
    with installation(folder / "cairn", {"CAIRN_REDIS_URL": redis.url}, may_be_degraded=True) as cairn:
        client, token = join(cairn, "ada")
        with closing(client):
            headers = {"authorization": f"Bearer {token}"}
            made = client.post("/api/v3/user/repos", json={"name": "engine"}, headers=headers)
            assert made.status_code == 201
            yield World(cairn, redis, client, token, working_copy(folder / "work"))


def test_1_without_redis_from_the_start_everything_works(world: World, tmp_path: Path) -> None:
    readiness = world.cairn.readiness()
    assert readiness["status"] == "degraded"
    assert readiness["checks"]["redis"]["status"] == "failed"
    world.everything_works(tmp_path)


def test_2_when_redis_comes_back_it_is_used_again(world: World, tmp_path: Path) -> None:
    world.redis.process.start()
    world.status_becomes("ready")
    world.everything_works(tmp_path)


def test_3_emptying_redis_while_jobs_wait_loses_and_doubles_none(world: World) -> None:
    ids = world.add_jobs(JOBS)
    world.redis.flush()
    more = world.add_jobs(JOBS)
    world.redis.flush()
    world.wait_for(ids + more)


def test_4_redis_gone_in_the_middle_stops_nothing(world: World, tmp_path: Path) -> None:
    world.redis.process.kill()
    world.everything_works(tmp_path)
    world.status_becomes("degraded")
