"""The object store fails for a third of the requests, is away, is slow, while people push and clone: F5, F6, F7."""

import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.factories.faults.in_thread import in_thread
from tests.factories.faults.s3_proxy import S3Proxy
from tests.factories.seeds import chosen_seed
from tests.services.s3 import S3Server
from tests.stories.installation import Installation, commit_file, git, installation
from tests.stories.pushers import Pusher, found, judge, problems_in

pytestmark = pytest.mark.s3_server
FAILING = 0.3


@dataclass(frozen=True)
class Site:
    """One web program that reaches its bucket through a proxy."""

    cairn: Installation
    proxy: S3Proxy
    run: Callable[[Coroutine[Any, Any, None]], None]
    token: str

    def url(self, number: int = 0) -> str:
        return self.cairn.url(f"ada/r{number}", user="ada", secret=self.token)

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
