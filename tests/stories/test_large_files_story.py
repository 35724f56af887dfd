"""L7: files and packs larger than what a program may hold in memory pass through it all the same."""

import hashlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories.process_tree import memory_below, watch
from tests.stories.installation import Installation, git, installation, start_git, working_copy
from tests.stories.pushers import found

MIB = 1 << 20
PUSH_GROWTH_MAX = 200 * MIB
RAW_GROWTH_MAX = 32 * MIB
LARGE_PACK_GROWTH_MAX = 512 * MIB
PAGE_BYTES_MAX = MIB
GIT_SECONDS_MAX = 1200


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "site", {"CAIRN_GIT_QUEUE_SECONDS": "600"}) as running:
        yield running


def run_git(*words: str | Path, cwd: Path | None = None) -> None:
    """Run stock git, which must succeed; it has more time than usual."""
    running = start_git(*words, cwd=cwd)
    try:
        printed = running.communicate(timeout=GIT_SECONDS_MAX)[0].decode("utf-8", "replace")
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0, printed


def commit_noise(work: Path, names: list[str], size: int) -> None:
    """Commit files of random bytes, which no compression makes smaller."""
    for name in names:
        with (work / name).open("wb") as file:
            for start in range(0, size, MIB):
                file.write(secrets.token_bytes(min(MIB, size - start)))
    git("add", "-A", cwd=work)
    git("commit", "-qm", "Noise", cwd=work)


@pytest.mark.parametrize("megabytes", [pytest.param(50, id="50MB")])
def test_a_large_file_is_pushed_shown_and_served_in_bounded_memory(
    site: Installation, tmp_path: Path, megabytes: int
) -> None:
    """Pushing it grows the programs by little, its raw bytes by less, and its page does without its content."""
    token = found(site, 1)
    url = site.url("ada/r0", user="ada", secret=token)
    work = working_copy(tmp_path / "work")
    git("config", "core.compression", "0", cwd=work)
    git("push", "-q", url, "main", cwd=work)  # what every program loads at its first push is not this file's
    git("clone", "-q", url, tmp_path / "warm")
    commit_noise(work, ["large.bin"], megabytes * MIB)
    with watch(site.process.pid) as seen:
        started = time.monotonic()
        run_git("push", "-q", url, "main", cwd=work)
        took = time.monotonic() - started
    print(f"push of {megabytes} MB: {took:.1f} s, grown by {seen.growth_bytes >> 20} MiB, {seen.samples} looks")
    assert seen.memory_bytes_before > 50 * MIB, "the programs are seen"
    assert seen.growth_bytes <= PUSH_GROWTH_MAX

    with site.client(token) as client:
        assert client.get("/ada/r0/blob/main/README.md").status_code == 200
        started = time.monotonic()
        page = client.get("/ada/r0/blob/main/large.bin")
        print(f"its page: {(time.monotonic() - started) * 1000:.0f} ms, {len(page.content)} bytes")
        assert page.status_code == 200
        assert len(page.content) <= PAGE_BYTES_MAX
        assert "large.bin" in page.text
        wanted = hashlib.sha256((work / "large.bin").read_bytes()).hexdigest()
        digest, received = hashlib.sha256(), 0
        with watch(site.process.pid) as seen, client.stream("GET", "/ada/r0/raw/main/large.bin") as answer:
            assert answer.status_code == 200
            for chunk in answer.iter_bytes():
                digest.update(chunk)
                received += len(chunk)
    print(f"its raw bytes: grown by {seen.growth_bytes >> 20} MiB, {seen.samples} looks")
    assert (received, digest.hexdigest()) == (megabytes * MIB, wanted)
    assert seen.growth_bytes <= RAW_GROWTH_MAX


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_pack_of_a_gigabyte_is_taken_and_given_in_bounded_memory(site: Installation, tmp_path: Path) -> None:
    token = found(site, 1)
    url = site.url("ada/r0", user="ada", secret=token)
    work = working_copy(tmp_path / "work")
    git("config", "core.compression", "0", cwd=work)
    for number in range(16):
        commit_noise(work, [f"noise-{number}.bin"], 64 * MIB)
    before = memory_below(site.process.pid)
    for what, words in (
        ("push", ("push", "-q", url, "main")),
        ("first clone", ("clone", "-q", "--bare", url, tmp_path / "one")),
        ("second clone", ("clone", "-q", "--bare", url, tmp_path / "two")),
    ):
        with watch(site.process.pid) as seen:
            started = time.monotonic()
            run_git(*words, cwd=work)
            took = time.monotonic() - started
        grown = seen.memory_bytes - before
        print(f"{what} of 1 GB: {took:.1f} s, at most {seen.memory_bytes >> 20} MiB, grown by {grown >> 20} MiB")
        assert grown <= LARGE_PACK_GROWTH_MAX
    for clone in ("one", "two"):
        run_git("fsck", "--no-progress", cwd=tmp_path / clone)
        assert git("rev-parse", "main", cwd=tmp_path / clone) == git("rev-parse", "main", cwd=work)
