"""The disk fails in the program or in its git while people push: no push is told "ok" whose data is missing (F11)."""

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.factories.faults.system_calls import CallFault, FailingGit, failing_calls
from tests.factories.seeds import chosen_seed
from tests.services.processes import ServiceMissing
from tests.stories.installation import Installation, commit_file, git, installation
from tests.stories.pushers import Pusher, found, judge

ERRORS = ("EIO", "ENOSPC")
OF_THE_PROGRAM = {
    "sendfile": ("1", "2", "1+"),
    "fsync": ("1", "2", "1+"),
    "rename": ("1", "1+"),
    "link": ("1", "1+"),
    "mkdir": ("1", "3", "1+"),
    "pwrite64": ("1", "12", "30+"),
    "fdatasync": ("1", "1+"),
}
"""Calls by which the program writes files: packs are copied, synced and renamed, the database's pages written and
synced. Its ``write`` only wakes threads and talks to sockets."""
OF_GIT = {"write": ("1", "2", "3", "5", "1+"), "link": ("1+",)}
"""Git syncs nothing: what it writes here is a copy of what the program then brings to the store."""

Round = tuple[str, CallFault]


def _rounds(seed: int) -> list[Round]:
    """Return every fault once, in an order that the seed gives."""
    rounds = [
        (who, CallFault(call, error, when))
        for who, calls in (("program", OF_THE_PROGRAM), ("git", OF_GIT))
        for call, places in calls.items()
        for error, when in itertools.product(ERRORS, places)
    ]
    Random(seed).shuffle(rounds)
    return rounds


@pytest.fixture
def failing_git(tmp_path: Path) -> Iterator[FailingGit]:
    """Stock git with a switch."""
    try:
        yield FailingGit(tmp_path / "git")
    except ServiceMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("count", [4, pytest.param(1000, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])])
def test_an_error_of_the_disk_never_ends_in_ok_with_data_missing(
    failing_git: FailingGit, tmp_path: Path, count: int
) -> None:
    """F11: after each fault the branch is what the push was told, or old or new; the next push works by itself."""
    seed = chosen_seed()
    settings = {"PATH": f"{failing_git.folder}:/usr/local/bin:/usr/bin:/bin", "CAIRN_RATE_GIT_PER_MINUTE": "100000"}
    ends = Counter[str]()
    with installation(tmp_path / "site", settings, program="web") as site:
        token = found(site, 1)
        url = site.url("ada/r0", user="ada", secret=token)
        pusher = Pusher(tmp_path, 0, lambda: url, seed=seed)
        pusher.push()
        assert pusher.refusals == []
        for number, (who, fault) in enumerate(_rounds(seed)[:count]):
            end = _push_through(site, failing_git, pusher, url, who, fault, tmp_path / f"calls-{number}")
            ends[end] += 1
            print(f"{who}: {fault.call} {fault.error} at {fault.when}: {end}")
        print(f"{ends.total()} faults: {dict(ends)}")
        assert ends["refused"] > 0
        shutil.rmtree(site.folder / "data" / "cache")  # the verdict is about what the store has
        judge(site, {url: [pusher]}, tmp_path)


def _push_through(
    site: Installation, failing_git: FailingGit, pusher: Pusher, url: str, who: str, fault: CallFault, log: Path
) -> str:
    """Push while calls fail, then once more while none does; return how the first push ended."""
    commit_file(pusher.work, "one.txt", f"{len(pusher.tried)}" * 3000)
    failing = failing_git.failing(fault, log) if who == "git" else failing_calls(site.process.pid, fault, log)
    refusals = len(pusher.refusals)
    try:
        with failing:
            pusher.push()
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    is_ok = len(pusher.refusals) == refusals
    head = git("ls-remote", url, f"refs/heads/{pusher.branch}").split("\t")[0]
    assert pusher.accepts(head), (who, fault)
    commit_file(pusher.work, "two.txt", f"{len(pusher.tried)}")
    pusher.push()
    assert pusher.acknowledged[-1] == pusher.tried[-1], (who, fault, pusher.refusals[-1])
    was_hit = "(INJECTED)" in log.read_text("utf-8", "replace")
    return ("ok" if is_ok else "refused") + ("" if was_hit else " untouched")
