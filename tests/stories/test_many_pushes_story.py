"""L2, L3: many pushes at once over two nodes, to branches of their own and to one that everybody wants."""

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.services.postgresql import PostgresqlServer
from tests.services.s3 import S3Server
from tests.stories.installation import Installation, commit_file, git, installation, start_git, working_copy
from tests.stories.pushers import found

pytestmark = pytest.mark.s3_server
GIT_SECONDS_MAX = 300
LOST_RACE = ("fetch first", "the ref moved meanwhile")
"""What git and Cairn say to who comes second; anything else is a failure."""


@dataclass
class Site:
    """Two web programs on one database and one bucket, and a repository with one commit."""

    nodes: list[Installation]
    token: str
    work: Path

    def url(self, number: int) -> str:
        """Return the repository's address for one of many clients: they take turns over the nodes."""
        return self.nodes[number % len(self.nodes)].url("ada/r0", user="ada", secret=self.token)


@pytest.fixture
def site(tmp_path: Path, postgresql_server: PostgresqlServer, s3_server: S3Server) -> Iterator[Site]:
    shared = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": s3_server.storage_url(s3_server.create_bucket()),
        "CAIRN_SECRET_KEY": "k" * 40,
        "CAIRN_GIT_QUEUE_SECONDS": str(GIT_SECONDS_MAX),  # on a slow machine one waits and does not fail
    }
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                installation(tmp_path / name, shared | {"CAIRN_CACHE_DIR": str(tmp_path / name / "c")}, program="web")
            )
            for name in ("a", "b")
        ]
        token = found(nodes[0], 1)
        site = Site(nodes, token, working_copy(tmp_path / "work"))
        git("push", "-q", site.url(0), "main", cwd=site.work)
        yield site


def run_git(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run stock git to its end, however that is."""
    running = start_git(*words, cwd=cwd)
    try:
        printed = running.communicate(timeout=GIT_SECONDS_MAX)[0].decode("utf-8", "replace")
    finally:
        running.kill()
        running.wait()
    return subprocess.CompletedProcess([], running.returncode, printed)


@pytest.mark.parametrize("clients", [8, pytest.param(64, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)])])
def test_pushes_to_branches_of_their_own_over_two_nodes_all_succeed(site: Site, tmp_path: Path, clients: int) -> None:
    """L2: one commit each, at the same time; afterwards both nodes list every branch where it was pushed."""
    copies = []
    for number in range(clients):
        copies.append(tmp_path / f"client-{number}")
        git("clone", "-q", site.work, copies[-1])
        git("checkout", "-q", "-b", f"b{number}", cwd=copies[-1])
        commit_file(copies[-1], "own.txt", str(number))

    def push(number: int) -> tuple[float, str]:
        started = time.monotonic()
        done = run_git("push", "-q", site.url(number), f"b{number}", cwd=copies[number])
        return time.monotonic() - started, "" if done.returncode == 0 else done.stdout

    started = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(push, range(clients)))
    took = [seconds for seconds, _ in results]
    print(
        f"{clients} pushes over two nodes: all done after {time.monotonic() - started:.1f} s, "
        f"median {statistics.median(took):.1f} s, slowest {max(took):.1f} s"
    )
    assert not [said for _, said in results if said]
    wanted = {f"refs/heads/b{n}": git("rev-parse", "HEAD", cwd=copies[n]).strip() for n in range(clients)}
    wanted["refs/heads/main"] = git("rev-parse", "main", cwd=site.work).strip()
    for number in (0, 1):
        listed = git("ls-remote", "--heads", site.url(number)).split("\n")
        assert {name: oid for oid, _, name in (line.partition("\t") for line in listed if line)} == wanted
    git("clone", "-q", "--mirror", site.url(1), tmp_path / "mirror")
    git("fsck", "--strict", "--no-progress", cwd=tmp_path / "mirror")


@dataclass
class Racer(threading.Thread):
    """Fetches, rebases and pushes to ``main`` again and again; keeps what was acknowledged."""

    copy: Path
    url: str
    number: int
    stop_asked: threading.Event
    acknowledged: list[str] = field(default_factory=list)
    lost: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Go on until told to stop or something other than a lost race happens."""
        while not self.stop_asked.is_set() and not self.failures:
            try:
                self._once()
            except Exception as error:
                self.failures.append(repr(error))

    def _once(self) -> None:
        subject = f"{self.number}-{len(self.acknowledged)}"
        git("fetch", "-q", self.url, "main", cwd=self.copy)
        git("reset", "-q", "--hard", "FETCH_HEAD", cwd=self.copy)
        commit_file(self.copy, f"of-{self.number}.txt", subject)
        while not self.stop_asked.is_set():
            done = run_git("push", self.url, "HEAD:main", cwd=self.copy)
            if done.returncode == 0:
                self.acknowledged.append(git("rev-parse", "HEAD", cwd=self.copy).strip())
                return
            if not any(words in done.stdout for words in LOST_RACE):
                self.failures.append(done.stdout)
                return
            self.lost += 1
            git("fetch", "-q", self.url, "main", cwd=self.copy)
            git("rebase", "-q", "FETCH_HEAD", cwd=self.copy)


@pytest.mark.parametrize(
    ("clients", "seconds"), [(3, 4), pytest.param(16, 60, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)])]
)
def test_a_branch_that_everybody_pushes_keeps_what_was_acknowledged(
    site: Site, tmp_path: Path, clients: int, seconds: float
) -> None:
    """L3: fetch, rebase, push over two nodes; the branch's history is what was acknowledged, each once."""
    stop_asked = threading.Event()
    racers = []
    for number in range(clients):
        copy = tmp_path / f"racer-{number}"
        git("clone", "-q", site.work, copy)
        racers.append(Racer(copy, site.url(number), number, stop_asked))
    started = time.monotonic()
    for racer in racers:
        racer.start()
    stop_asked.wait(seconds)  # the load lasts so long; nothing is concluded from it
    stop_asked.set()
    for racer in racers:
        racer.join(timeout=4 * GIT_SECONDS_MAX)
        assert not racer.is_alive()
    took = time.monotonic() - started
    acknowledged = [oid for racer in racers for oid in racer.acknowledged]
    print(
        f"{clients} clients on one branch: {len(acknowledged)} pushes in {took:.1f} s, "
        f"{len(acknowledged) / took:.2f} a second, {sum(racer.lost for racer in racers)} lost races"
    )
    assert not [failure for racer in racers for failure in racer.failures]
    git("clone", "-q", "--bare", site.url(1), tmp_path / "judge")
    history = git("rev-list", "main", cwd=tmp_path / "judge").split()
    assert git("rev-parse", "main", cwd=site.work).strip() == history.pop(), "the first commit is the oldest"
    assert sorted(history) == sorted(acknowledged)
    assert acknowledged, "nobody ever won"
    assert head_of(site, 0) == head_of(site, 1)


def head_of(site: Site, number: int) -> str:
    """Return what one node says ``main`` is."""
    return git("ls-remote", site.url(number), "refs/heads/main").partition("\t")[0]
