"""The object store fails for a third of the requests, is away, is slow, while people push and clone: F5, F6, F7."""

import secrets
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from tests.factories.faults.in_thread import in_thread
from tests.factories.faults.s3_proxy import S3Proxy
from tests.factories.seeds import chosen_seed
from tests.services.ports import wait_until
from tests.services.s3 import S3Server
from tests.stories.installation import Installation, commit_file, fails, git, installation, working_copy
from tests.stories.pushers import Pusher, found, judge, problems_in

pytestmark = pytest.mark.s3_server
FAILING = 0.3
AWAY_SECONDS = 60
GIT_SECONDS_MAX = 10
BACK_SECONDS = 10
SLACK_SECONDS = 10
"""For a machine that others load: what is promised is the program's own wait."""
FIRST_BYTE_SECONDS = 2.0
BYTES_PER_SECOND = 100_000
STORE_REQUESTS_MAX = 16
"""Downloads are four at a time on a node; the rest are answers to fetches on their way into the bucket."""
THREADS_MORE_MAX = 16
PATHS = ("/", "/ada/r0", "/ada/r0/blob/main/README.md", "/api/v3/repos/ada/r0", "/ada/r0/commits/main")


@dataclass(frozen=True)
class Site:
    """One web program that reaches its bucket through a proxy."""

    cairn: Installation
    proxy: S3Proxy
    run: Callable[[Coroutine[Any, Any, None]], None]
    token: str

    def url(self, number: int = 0) -> str:
        return self.cairn.url(f"ada/r{number}", user="ada", secret=self.token)

    def pushes(self, pusher: Pusher) -> bool:
        """Push something new; tell whether it was acknowledged."""
        commit_file(pusher.work, "again.txt", f"{len(pusher.tried)}")
        pusher.push()
        return pusher.acknowledged[-1:] == pusher.tried[-1:]

    def metric(self, name: str) -> float:
        """Return the sum of one number of the metrics page over its labels."""
        with self.cairn.client() as client:
            lines = client.get("/metrics").text.splitlines()
        found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        assert found, f"the metrics page does not name {name}"
        return sum(found)

    def usage(self) -> tuple[int, int]:
        """Return how many threads and children the web program has."""
        threads = list(Path(f"/proc/{self.cairn.process.pid}/task").iterdir())
        return len(threads), sum(len((thread / "children").read_text().split()) for thread in threads)

    def forget(self) -> None:
        """Empty the node's cache: whoever comes next is answered from the store."""
        shutil.rmtree(self.cairn.folder / "data" / "cache", ignore_errors=True)


@contextmanager
def site(server: S3Server, folder: Path, *, repositories: int) -> Iterator[Site]:
    """Run one web program on SQLite and a bucket behind a proxy."""
    proxy = S3Proxy(server.port)
    with in_thread(proxy) as run:
        settings = {
            "CAIRN_STORAGE_URL": server.storage_url(server.create_bucket(), endpoint=proxy.endpoint),
            "CAIRN_SECRET_KEY": "s" * 32,
            "CAIRN_RATE_GIT_PER_MINUTE": "100000",
        }
        with installation(folder / "site", settings, program="web") as cairn:
            yield Site(cairn, proxy, run, found(cairn, repositories))


def _pushes_and_cold_clones(world: Site, folder: Path, number: int, *, count: int, seed: int) -> tuple[Pusher, float]:
    """Push to repository ``number`` so many times, clone each time from the store; return the seconds it took."""
    pusher = Pusher(folder / f"pusher-{number}", number, lambda: world.url(number), seed=seed)
    begun = time.monotonic()
    for push in range(count):
        commit_file(pusher.work, f"{push}.txt", f"{seed} {push}\n" * 500)
        pusher.push()
        assert pusher.refusals == []
        world.forget()  # the packs of all pushes so far come from the store
        copy = folder / "copy"
        git("clone", "-q", "--mirror", world.url(number), copy)
        assert git("rev-parse", pusher.branch, cwd=copy).strip() == pusher.acknowledged[-1]
        shutil.rmtree(copy)
    return pusher, time.monotonic() - begun


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=[pytest.mark.nightly, pytest.mark.timeout(600)])])
def test_a_store_that_fails_for_a_third_of_the_requests_fails_nobody(
    s3_server: S3Server, tmp_path: Path, count: int
) -> None:
    """F5: pushes and clones by a node that has nothing cached all succeed; what it costs is printed."""
    seed = chosen_seed()
    with site(s3_server, tmp_path, repositories=2) as world:
        quiet, quiet_seconds = _pushes_and_cold_clones(world, tmp_path, 0, count=count, seed=seed)
        requests = world.proxy.requests.total()
        world.proxy.weather.failing, world.proxy.weather.dice = FAILING, Random(seed)
        rough, rough_seconds = _pushes_and_cold_clones(world, tmp_path, 1, count=count, seed=seed)
        world.proxy.weather.failing = 0.0
        print(
            f"{count} pushes and {count} cold clones: {quiet_seconds:.1f} s and {requests} requests without faults; "
            f"{rough_seconds:.1f} s and {world.proxy.requests.total() - requests} requests, "
            f"{world.proxy.failed} of them failed: {rough_seconds / quiet_seconds:.1f} times as long"
        )
        assert world.proxy.failed > 0
        world.forget()
        judge(world.cairn, {world.url(0): [quiet], world.url(1): [rough]}, tmp_path)
        assert problems_in(world.cairn.log()) == []


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_while_the_store_is_away_warm_clones_work_and_pushes_fail_with_a_reason(
    s3_server: S3Server, tmp_path: Path
) -> None:
    """F6: it refuses connections; git says so, the metrics too, and what is cached stays readable; then all is back."""
    with site(s3_server, tmp_path, repositories=1) as world:
        pusher = Pusher(tmp_path / "pusher", 0, world.url, seed=chosen_seed())
        pusher.push()
        assert pusher.acknowledged, pusher.refusals
        git("clone", "-q", "--mirror", world.url(), tmp_path / "warm")
        world.run(world.proxy.refuse())
        refused_after, cloned = _lives_without_the_store(world, pusher, tmp_path)
        world.run(world.proxy.listen())
        begun = time.monotonic()
        wait_until(lambda: world.pushes(pusher), within_seconds=BACK_SECONDS + SLACK_SECONDS, what="pushes work again")
        back_seconds = time.monotonic() - begun
        wait_until(
            lambda: world.metric("cairn_storage_breaker_open") == 0,
            within_seconds=BACK_SECONDS + SLACK_SECONDS,
            what="the metrics show that it is back",
        )
        print(
            f"away for {AWAY_SECONDS} s: {len(refused_after)} pushes refused, the slowest after "
            f"{max(refused_after):.1f} s; {cloned} warm clones; pushes work again after {back_seconds:.1f} s"
        )
        assert world.cairn.readiness()["status"] in {"ready", "degraded"}
        world.forget()
        judge(world.cairn, {world.url(): [pusher]}, tmp_path)
        assert problems_in(world.cairn.log()) == []


def _lives_without_the_store(world: Site, pusher: Pusher, folder: Path) -> tuple[list[float], int]:
    """Push and clone for so long and until the metrics show the outage; return the time of each refusal, and clones."""
    away, refused_after, cloned = time.monotonic(), list[float](), 0
    while time.monotonic() - away < AWAY_SECONDS or world.metric("cairn_storage_breaker_open") == 0:
        commit_file(pusher.work, "away.txt", f"{cloned}")
        begun = time.monotonic()
        told = fails("push", world.url(), pusher.branch, cwd=pusher.work)
        refused_after.append(time.monotonic() - begun)
        assert refused_after[-1] < GIT_SECONDS_MAX + SLACK_SECONDS, told
        assert "object store" in told, told
        copy = folder / "copy"
        git("clone", "-q", "--mirror", world.url(), copy)
        assert git("rev-parse", pusher.branch, cwd=copy).strip() == pusher.acknowledged[-1]
        shutil.rmtree(copy)
        cloned += 1
        assert len(refused_after) < 500, "the metrics never show the outage"
    return refused_after, cloned


@pytest.mark.parametrize(
    ("repositories", "clients", "noise_bytes"),
    [(2, 4, 100_000), pytest.param(8, 24, 400_000, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])],
)
def test_a_slow_store_slows_nobody_who_does_not_need_it(
    s3_server: S3Server, tmp_path: Path, repositories: int, clients: int, noise_bytes: int
) -> None:
    """F7: cold clones crawl, and end well; pages, warm clones and what the node uses stay as they were."""
    chosen_seed()
    with site(s3_server, tmp_path, repositories=repositories + 1) as world:
        for number in range(repositories + 1):
            work = working_copy(tmp_path / f"work-{number}")
            (work / "noise").write_bytes(secrets.token_bytes(noise_bytes if number else 100))
            commit_file(work, "more.txt", "more")
            git("push", "-q", world.url(number), "main", cwd=work)
        world.forget()
        git("clone", "-q", world.url(0), tmp_path / "warm")
        usual = _latencies(world, rounds=20)
        threads, _ = world.usage()
        world.proxy.weather.first_byte_seconds = FIRST_BYTE_SECONDS
        world.proxy.weather.bytes_per_second = BYTES_PER_SECOND
        world.proxy.under_way_max = 0
        with ThreadPoolExecutor(clients) as pool:
            begun = time.monotonic()
            clones = [
                pool.submit(git, "clone", "-q", "--mirror", world.url(1 + n % repositories), tmp_path / f"cold-{n}")
                for n in range(clients)
            ]
            wait_until(lambda: world.proxy.under_way > 0, within_seconds=60, what="the store is asked")
            beside, threads_max, children_max, rounds = list[float](), 0, 0, 0
            while not all(clone.done() for clone in clones):
                beside += _latencies(world, rounds=1)
                rounds += 1
                git("clone", "-q", world.url(0), tmp_path / f"warm-{rounds}")
                shutil.rmtree(tmp_path / f"warm-{rounds}")
                now = world.usage()
                threads_max, children_max = max(threads_max, now[0]), max(children_max, now[1])
            for clone in clones:
                clone.result()
        print(
            f"{clients} cold clones at {BYTES_PER_SECOND} bytes/s: {time.monotonic() - begun:.1f} s; pages beside "
            f"them: p95 {_p95(beside) * 1000:.0f} ms instead of {_p95(usual) * 1000:.0f} ms; "
            f"{world.proxy.under_way_max} requests to the store at once at most; threads {threads} to {threads_max}, "
            f"children {children_max} at most"
        )
        assert max(beside) < GIT_SECONDS_MAX + SLACK_SECONDS
        assert world.proxy.under_way_max <= STORE_REQUESTS_MAX
        assert threads_max <= threads + THREADS_MORE_MAX
        assert problems_in(world.cairn.log()) == []


def _latencies(world: Site, *, rounds: int) -> list[float]:
    """Open each page so often; return the seconds each took."""
    took = []
    with httpx2.Client(base_url=world.cairn.origin, timeout=120, trust_env=False) as client:
        for path in PATHS * rounds:
            begun = time.monotonic()
            answer = client.get(path, headers={"authorization": f"Bearer {world.token}"})
            took.append(time.monotonic() - begun)
            assert answer.status_code == 200, (path, answer.status_code)
    return took


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.95)]
