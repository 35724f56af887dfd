"""L1: many clones at once cost a bounded amount of memory and a bounded number of git processes."""

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.factories.process_tree import watch
from tests.stories.installation import Installation, git, installation, start_git, working_copy
from tests.stories.pushers import found

PACKING_MAX = 4
MEMORY_BYTES_MAX = 3 << 30
CLONE_SECONDS_MAX = 600


def filled(site: Installation, token: str, folder: Path, *, megabytes: int, branches: int) -> str:
    """Push branches of so many megabytes together, each with something of its own, and return the address."""
    work = working_copy(folder)
    for number in range(megabytes):
        (work / f"noise-{number}").write_bytes(secrets.token_bytes(1 << 20))  # nothing that compresses
    git("add", "-A", cwd=work)
    git("commit", "-qm", "Noise", cwd=work)
    for number in range(branches):
        git("checkout", "-q", "-b", f"b{number}", "main", cwd=work)
        (work / "own").write_text(str(number))
        git("add", "own", cwd=work)
        git("commit", "-qm", f"Branch {number}", cwd=work)
    url = site.url("ada/r0", user="ada", secret=token)
    git("push", "-q", url, "--all", cwd=work)
    return url


def clone_all(url: str, folder: Path, branches: Sequence[str]) -> list[str]:
    """Clone each branch at the same time; return what the failed ones said."""
    folder.mkdir()

    def clone(numbered: tuple[int, str]) -> str:
        number, branch = numbered
        target = folder / str(number)
        running = start_git("clone", "-q", "--bare", "--single-branch", "--branch", branch, url, target)
        try:
            printed = running.communicate(timeout=CLONE_SECONDS_MAX)[0].decode("utf-8", "replace")
        finally:
            running.kill()
            running.wait()
        if running.returncode == 0:
            assert git("rev-parse", "HEAD", cwd=target).strip(), target
            return ""
        return printed or f"exit code {running.returncode}"

    with ThreadPoolExecutor(len(branches)) as pool:
        return [said for said in pool.map(clone, enumerate(branches)) if said]


@pytest.mark.parametrize(
    ("clients", "megabytes"),
    [(8, 2), pytest.param(32, 20, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])],
)
def test_many_clones_at_once_stay_within_memory_and_processes(tmp_path: Path, clients: int, megabytes: int) -> None:
    """First everybody clones the same, then each another branch, which no stored answer can serve."""
    # A queue longer than any machine needs: the slow one must wait, not fail.
    with installation(tmp_path / "site", {"CAIRN_GIT_QUEUE_SECONDS": str(CLONE_SECONDS_MAX)}) as site:
        token = found(site, 1)
        url = filled(site, token, tmp_path / "work", megabytes=megabytes, branches=clients)
        git("clone", "-q", "--bare", url, tmp_path / "warm")
        for kind, branches in (
            ("the same", ["main"] * clients),
            ("each another", [f"b{number}" for number in range(clients)]),
        ):
            with watch(site.process.pid) as seen, watch(site.children()["web"]) as web:
                started = time.monotonic()
                failed = clone_all(url, tmp_path / kind.replace(" ", "-"), branches)
                took = time.monotonic() - started
            packing = web.children["pack-objects"]
            print(
                f"{clients} clones of {megabytes} MB, {kind}: {took:.1f} s, at most {seen.memory_bytes >> 20} MiB, "
                f"{packing} pack-objects at one time, {seen.samples} looks"
            )
            assert not failed, failed
            assert packing <= PACKING_MAX
            assert web.children["upload-pack"] <= PACKING_MAX
            assert seen.memory_bytes <= MEMORY_BYTES_MAX
