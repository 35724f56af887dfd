"""Packs made to hurt, pushed over HTTP: refused or taken in bounded time and memory, and nothing of them stays (I3)."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.factories.process_tree import below, command_of, watch
from tests.factories.pushes import PushReport, push_request, read_report
from tests.factories.raw_packs import BLOB, COMMIT, TREE, copying_delta, object_id, raw_pack, whole, zeros
from tests.stories.installation import Installation, installation, run_cairnd
from tests.stories.pushers import found, problems_in

from cairn.git.types import ZERO_OID, Oid

CPU_SECONDS = 30
CHILD_BYTES = 512 << 20
GROWTH_BYTES = 64 << 20
"""What the web program itself may need beside its git child, and what that gets before somebody looks again."""
PERSON = b"A <a@b> 1 +0000"
TOO_MUCH = "unpacking this push would use more time, memory or disk than one push may"
MIB = 1 << 20


@dataclass(frozen=True)
class Hostile:
    """A pack, the commit it is pushed for, and how it is refused; no reason: it is taken."""

    tip: Oid
    pack: bytes
    reason: str = ""


def _commit(tree: Oid, message: bytes = b"m") -> bytes:
    return b"tree %b\nauthor %b\ncommitter %b\n\n%b" % (tree.encode(), PERSON, PERSON, message)


def _entry(mode: bytes, name: bytes, oid: Oid) -> bytes:
    return mode + b" " + name + b"\0" + bytes.fromhex(oid)


def _with_tree(tree: bytes, *others: bytes, reason: str = "", message: bytes = b"m") -> Hostile:
    commit = _commit(object_id("tree", tree), message)
    pack = raw_pack([whole(COMMIT, commit), whole(TREE, tree), *others])
    return Hostile(object_id("commit", commit), pack, reason)


def zip_bomb(mib: int) -> Hostile:
    """A file of zeros, a thousandth of its size in the pack."""
    oid, blob = zeros(BLOB, b"", mib * MIB)
    reason = f"has {mib * MIB:,} bytes, more than 104,857,600 (CAIRN_MAX_FILE_BYTES)"
    return _with_tree(_entry(b"100644", b"a", oid), blob, reason=reason)


def many_bombs(count: int) -> Hostile:
    """So many files as large as a file may be, each a few bytes of delta against the first: hours of hashing."""
    oid, first = zeros(BLOB, b"", 99 * MIB)
    objects, distance = [first], len(first)
    for number in range(count):
        _, delta = copying_delta(distance, 99 * MIB, 1, b"%d" % number)
        objects.append(delta)
        distance += len(delta)
    return _with_tree(_entry(b"100644", b"a", oid), *objects, reason=TOO_MUCH)


def swelling_delta() -> Hostile:
    """A chain in which each delta is sixty-four times its base."""
    oid, blob = zeros(BLOB, b"", MIB)
    objects, size = [blob], MIB
    for _ in range(3):
        size, delta = copying_delta(len(objects[-1]), size, 64)
        objects.append(delta)
    return _with_tree(_entry(b"100644", b"a", oid), *objects, reason=TOO_MUCH)


def deep_deltas(count: int) -> Hostile:
    """A chain of so many deltas, each one byte more than its base."""
    blob = whole(BLOB, bytes(1000))
    objects, size = [blob], 1000
    for _ in range(count):
        size, delta = copying_delta(len(objects[-1]), size, 1, b"x")
        objects.append(delta)
    return _with_tree(
        _entry(b"100644", b"a", object_id("blob", bytes(1000))), *objects, reason="(CAIRN_MAX_DELTA_DEPTH)"
    )


def large_commit(mib: int, *, claimed: int | None = None, reason: str) -> Hostile:
    """A commit with a message of spaces; its pack may claim to have more objects than come."""
    oid, commit = zeros(COMMIT, _commit(object_id("tree", b"")), mib * MIB)
    return Hostile(oid, raw_pack([commit, whole(TREE, b"")], claimed=claimed), reason)


def git_bomb(levels: int, width: int) -> Hostile:
    """Folders that hold the same folder ``width`` times, ``levels`` deep: width to the power of levels files."""
    oid, objects, mode = object_id("blob", b"x"), [whole(BLOB, b"x")], b"100644"
    for _ in range(levels):
        tree = b"".join(_entry(mode, b"f%02d" % number, oid) for number in range(width))
        objects.append(whole(TREE, tree))
        oid, mode = object_id("tree", tree), b"40000"
    commit = _commit(oid)
    return Hostile(object_id("commit", commit), raw_pack([whole(COMMIT, commit), *objects]))


def _is_git(pid: int) -> bool:
    return command_of(pid)[:1] == ["/usr/bin/git"]


class Site:
    """An installation, the repositories of its one user, and what pushes to them cost."""

    def __init__(self, running: Installation, token: str) -> None:
        self.running = running
        self.token = token
        self._made = 0

    def repository(self) -> str:
        """Return the name of a new empty repository."""
        self._made += 1
        with self.running.client(self.token) as api:
            assert api.post("/api/v3/user/repos", json={"name": f"h{self._made}"}).status_code == 201
        return f"ada/h{self._made}"

    def push(self, path: str, hostile: Hostile) -> PushReport:
        """Push to ``main`` and return what the client read."""
        body = push_request([(b"refs/heads/main", ZERO_OID, hostile.tip)]) + hostile.pack
        with self.running.client() as client:
            answer = client.post(
                f"/{path}.git/git-receive-pack",
                content=body,
                headers={"content-type": "application/x-git-receive-pack-request"},
                auth=("ada", self.token),
                timeout=600,
            )
        assert answer.status_code == 200, answer.text
        return asyncio.run(read_report(answer.content))

    def bounded(self, what: str, work: Callable[[], None]) -> None:
        """Do the work and fail if it cost more than a hostile push may."""
        before = _cpu_seconds(self.running.process.pid)
        with watch(self.running.process.pid) as watched:
            work()
        spent = _cpu_seconds(self.running.process.pid) - before
        print(f"{what}: {spent:.1f} s of CPU, {watched.growth_bytes / MIB:.0f} MiB more memory")
        assert spent <= CPU_SECONDS + 5, what  # the kernel looks at the limit of the child; the rest is the program's
        assert watched.growth_bytes <= CHILD_BYTES + GROWTH_BYTES, what

    def settle(self) -> None:
        """Wait until no git runs: what a page did not wait for is finished for the next one."""
        ends = time.monotonic() + 120
        while any(_is_git(pid) for pid in below(self.running.process.pid)):
            assert time.monotonic() < ends
            time.sleep(0.05)

    def sound(self) -> None:
        """Nothing of what was refused is left, no page broke, the doctor is content."""
        assert problems_in(self.running.log()) == []
        assert list((self.running.folder / "data" / "cache" / "quarantine").iterdir()) == []
        report = run_cairnd(self.running.environment, "doctor")
        assert ", 0 with findings" in report, report


def _cpu_seconds(pid: int) -> float:
    """Return what a process and its children that ended have computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = {"CAIRN_SECRET_KEY": "s" * 32, "CAIRN_RATE_GIT_PER_MINUTE": "0"}
    with installation(tmp_path_factory.mktemp("hostile"), settings, program="web") as running:
        yield Site(running, found(running, 0))


def _refuse(site: Site, attacks: Sequence[tuple[str, Hostile]]) -> None:
    for name, hostile in attacks:
        path = site.repository()

        def attack(path: str = path, name: str = name, hostile: Hostile = hostile) -> None:
            report = site.push(path, hostile)
            assert not report.is_ok, name
            assert hostile.reason in report.unpacked + report.remarks + str(report.refs), (name, report)

        site.bounded(f"{name} ({len(hostile.pack):,} bytes)", attack)
        with site.running.client(site.token) as api:
            assert api.get(f"/api/v3/repos/{path}/branches").json() == [], name
    site.sound()


def test_small_bombs_are_refused_by_name(site: Site) -> None:
    """The small form."""
    _refuse(
        site,
        [
            ("a file of 128 MiB", zip_bomb(128)),
            ("a delta that swells", swelling_delta()),
            ("a chain of 200 deltas", deep_deltas(200)),
            ("a commit of 65 MiB", large_commit(65, reason="only files may be larger")),
        ],
    )


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_bombs_are_refused_in_bounded_time_and_memory(site: Site) -> None:
    _refuse(
        site,
        [
            ("a file of 1 GiB", zip_bomb(1024)),
            ("1,000 files of 99 MiB", many_bombs(1_000)),
            ("a chain of 20,000 deltas", deep_deltas(20_000)),
            ("a commit of 400 MiB", large_commit(400, reason="only files may be larger")),
            ("a commit of 2 GiB", large_commit(2048, reason=TOO_MUCH)),
            (
                "a commit of 2 GiB among 9 million that never come",
                large_commit(2048, claimed=9_000_000, reason=TOO_MUCH),
            ),
        ],
    )


def test_a_bomb_of_folders_is_taken_and_costs_its_readers_little(site: Site) -> None:
    """Ten folders in ten folders, ten deep: 10,000,000,000 files in twelve objects, as sound as any other history."""
    path, bomb = site.repository(), git_bomb(levels=10, width=10)

    def push() -> None:
        assert site.push(path, bomb).is_ok

    site.bounded("a bomb of folders", push)
    answers = {
        f"/{path}": 200,
        f"/{path}/tree/main/f00/f01": 200,
        f"/{path}/commit/{bomb.tip}": 200,  # sent before its changes are read; it says that they are too many
        f"/api/v3/repos/{path}/commits/{bomb.tip}": 413,
        f"/api/v3/repos/{path}/git/trees/main?recursive=1": 200,
    }
    with site.running.client(site.token) as api:
        made = api.patch(f"/api/v3/repos/{path}", json={"private": False})  # pages know browsers, not tokens
        assert made.status_code == 200, made.text
        for address, expected in answers.items():

            def read(address: str = address, expected: int = expected) -> None:
                assert api.get(address, timeout=300).status_code == expected, address

            site.bounded(address, read)
            site.settle()
    site.sound()
