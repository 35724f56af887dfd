"""A node is stopped in the midst of a push, or a worker of its work; another takes over, the first wakes up (F13)."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.factories.seeds import chosen_seed
from tests.services.ports import wait_until
from tests.services.postgresql import PostgresqlServer
from tests.services.processes import ServerProcess
from tests.stories.installation import commit_file, git, installation, start_git, working_copy
from tests.stories.pushers import Pusher, found, heads_of, judge, problems_in

TAKEN_OVER_SECONDS = 120
"""The database ends an idle transaction after 30 s, a lease after 60; the rest is for a loaded machine."""
PUSHES = 32
"""So many packs of a repository are too many."""


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_node_that_wakes_up_inside_its_transaction_changes_nothing(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    """Its row locks go by the database's own time limit, the other node's push lands, its own is refused."""
    settings = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{tmp_path / 'bucket'}",
        "CAIRN_SECRET_KEY": "s" * 32,
    }
    with ExitStack() as stack:
        sleepy, awake = (
            stack.enter_context(installation(tmp_path / name, settings | extra, program="web"))
            for name, extra in (("a", {"CAIRN_FAIL_POINTS": "before_commit=pause"}), ("b", {}))
        )
        token = found(awake, 1)
        urls = [node.url("ada/r0", user="ada", secret=token) for node in (sleepy, awake)]
        work = working_copy(tmp_path / "work")
        git("push", "-q", urls[1], "main", cwd=work)
        other = tmp_path / "other"
        git("clone", "-q", urls[1], other)
        commit_file(work, "a.txt", "of the node that sleeps")
        commit_file(other, "b.txt", "of the node that is awake")
        winner = git("rev-parse", "HEAD", cwd=other).strip()

        pushing = start_git("push", urls[0], "main", cwd=work)
        pid = sleepy.process.pid
        try:
            wait_until(lambda: _is_stopped(pid), within_seconds=60, what="the node stops before its COMMIT")

            def lands() -> bool:
                running = start_git("push", "-q", urls[1], "main", cwd=other)
                running.communicate(timeout=120)
                return running.returncode == 0

            wait_until(lands, within_seconds=TAKEN_OVER_SECONDS, what="the other node's push lands")
        finally:
            os.kill(pid, signal.SIGCONT)
        printed = pushing.communicate(timeout=120)[0].decode()
        assert pushing.returncode != 0, printed
        for number, url in enumerate(urls):
            assert heads_of(url, tmp_path / f"mirror-{number}")["main"] == winner
        git("fetch", "-q", urls[0], "main", cwd=work)
        git("rebase", "-q", "FETCH_HEAD", cwd=work)
        git("push", "-q", urls[0], "main", cwd=work)


@contextmanager
def _worker(folder: Path, environment: Mapping[str, str], fail_points: str = "") -> Iterator[ServerProcess]:
    """Run one more worker; it may be stopped when the block ends."""
    folder.mkdir()
    environ = {**environment, "CAIRN_CACHE_DIR": str(folder / "cache"), "CAIRN_FAIL_POINTS": fail_points}
    log = folder / "log"
    process = ServerProcess(
        [sys.executable, "-m", "cairn.programs.cairnd", "worker"],
        log=log,
        environ=environ,
        is_ready=lambda: "worker_started" in log.read_text(),
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()


def _events(worker: ServerProcess, event: str, kind: str) -> int:
    lines = worker.log.read_text().splitlines()
    return sum(f'"event": "{event}"' in line and f'"kind": "{kind}"' in line for line in lines)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", ["compaction_packed", "after_pack"])
def test_a_worker_that_wakes_up_in_a_compaction_that_another_has_done_replaces_nothing(
    tmp_path: Path, postgresql_server: PostgresqlServer, step: str
) -> None:
    """Before or after its upload; its lease is over, its fencing number is old, and its transaction is refused."""
    settings = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{tmp_path / 'bucket'}",
        "CAIRN_SECRET_KEY": "s" * 32,
        "CAIRN_RATE_GIT_PER_MINUTE": "100000",
    }
    with installation(tmp_path / "site", settings, program="web") as site:
        url = site.url("ada/r0", user="ada", secret=found(site, 1))
        pusher = Pusher(tmp_path, 0, lambda: url, seed=chosen_seed())

        def pushes(count: int) -> None:
            for number in range(count):
                commit_file(pusher.work, f"{number}.txt", f"{len(pusher.tried)}")
                pusher.push()
            assert pusher.refusals == []

        pushes(PUSHES)
        with _worker(tmp_path / "sleepy", site.environment, f"{step}=pause") as sleepy:
            wait_until(lambda: _is_stopped(sleepy.pid), within_seconds=60, what="the worker stops in the compaction")
            with _worker(tmp_path / "awake", site.environment) as awake:
                wait_until(
                    lambda: _events(awake, "job_done", "ops.compact") > 0,
                    within_seconds=TAKEN_OVER_SECONDS,
                    what="the other worker has done the compaction",
                )
                pushes(3)
                os.kill(sleepy.pid, signal.SIGCONT)
                wait_until(
                    lambda: _events(sleepy, "lease_lost", "ops.compact") > 0,
                    within_seconds=TAKEN_OVER_SECONDS,
                    what="the first worker finds its lease lost",
                )
                pushes(3)
                assert problems_in(awake.log.read_text() + sleepy.log.read_text()) == []
        judge(site, {url: [pusher]}, tmp_path)
