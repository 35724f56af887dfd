import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.children import children
from tests.factories.git_repositories import StockRepository
from tests.factories.raw_packs import BLOB, COMMIT, TREE, object_id, raw_pack, whole, zeros

from cairn.git.packfile import PackCorrupt, PackIndex
from cairn.git.quarantine import (
    Limit,
    ObjectMissing,
    PackLimits,
    PackRefused,
    PackTooLarge,
    PackTooSlow,
    index_pack,
    open_quarantine,
    pack_new_objects,
    sweep_quarantines,
)
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

LIMITS = PackLimits(
    pack_bytes=Limit(10_000_000, "CAIRN_MAX_PUSH_BYTES"),
    objects=Limit(1000, "CAIRN_MAX_PUSH_OBJECTS"),
    file_bytes=Limit(1_000_000, "CAIRN_MAX_FILE_BYTES"),
    delta_depth=Limit(60, "CAIRN_MAX_DELTA_DEPTH"),
)


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> StockRepository:
    return git_repositories.init(tmp_path / "r")


async def endless(data: bytes) -> AsyncIterator[bytes]:
    yield data
    await asyncio.Event().wait()


async def sent(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_a_pack_is_indexed_and_described(runner: GitRunner, repository: StockRepository, tmp_path: Path) -> None:
    tip = repository.commit({"a": "x" * 5000, "d/b": "y"})
    data = repository.pack([tip])
    async with open_quarantine(tmp_path / "q") as quarantine:
        pack = await index_pack(runner, quarantine, sent(data), limits=LIMITS)
        assert pack is not None
        assert (pack.objects, pack.appended_oids, pack.bytes) == (5, (), len(data))
        assert pack.path_pack.read_bytes() == data
        assert pack.checksum == data[-20:].hex()
        with PackIndex.open(pack.path_idx) as index:
            assert tip in index
    assert list((tmp_path / "q").iterdir()) == []


async def test_bases_appended_to_a_thin_pack_are_named(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    lines = [f"line {number}\n" for number in range(2000)]
    old = repository.commit({"a": "".join(lines)})
    base = repository.oid("HEAD:a")
    new = repository.commit({"a": "".join([*lines, "more\n"])})
    data = repository.pack([new], without=[old], thin=True)
    async with open_quarantine(tmp_path / "q", alternates=[repository.objects]) as quarantine:
        pack = await index_pack(runner, quarantine, sent(data), limits=LIMITS)
        assert pack is not None
        assert pack.appended_oids == (base,)
    async with open_quarantine(tmp_path / "q") as quarantine:
        with pytest.raises(ObjectMissing, match="fetch and push again"):
            await index_pack(runner, quarantine, sent(data), limits=LIMITS)


async def test_a_pack_without_objects_needs_no_child(tmp_path: Path) -> None:
    body = b"PACK\0\0\0\2\0\0\0\0"
    good = body + hashlib.sha1(body).digest()
    runner = GitRunner(home=tmp_path / "home", git_binary="false")  # any child would fail
    async with open_quarantine(tmp_path / "q") as quarantine:
        assert await index_pack(runner, quarantine, sent(good, 7), limits=LIMITS) is None
        with pytest.raises(PackCorrupt, match="checksum"):
            await index_pack(runner, quarantine, sent(body + b"\0" * 20), limits=LIMITS)


@pytest.mark.parametrize("cut", [0, 5, 12, 40, -21, -1])
async def test_a_pack_cut_short_is_refused(
    runner: GitRunner, repository: StockRepository, tmp_path: Path, cut: int
) -> None:
    data = repository.pack([repository.commit({"a": "x" * 5000})])
    async with open_quarantine(tmp_path / "q") as quarantine:
        with pytest.raises(PackCorrupt, match="push again"):
            await index_pack(runner, quarantine, sent(data[:cut]), limits=LIMITS)


@pytest.mark.parametrize("at", [12, 30, 60, -1])
async def test_a_damaged_pack_is_refused(
    runner: GitRunner, repository: StockRepository, tmp_path: Path, at: int
) -> None:
    data = bytearray(repository.pack([repository.commit({"a": os.urandom(5000)})]))
    data[at] ^= 0x55
    async with open_quarantine(tmp_path / "q") as quarantine:
        with pytest.raises((PackCorrupt, ObjectMissing, PackTooLarge)):
            await index_pack(runner, quarantine, sent(bytes(data)), limits=LIMITS)


async def test_limits_are_answered_with_their_value_and_setting_while_streaming(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    data = repository.pack([repository.commit({"a": os.urandom(5000)})])
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield data[:-100]
        while True:
            taken += 1
            yield b"x" * 1000

    async with open_quarantine(tmp_path / "q") as quarantine:
        few = replace(LIMITS, objects=Limit(2, "CAIRN_MAX_PUSH_OBJECTS"))
        with pytest.raises(PackTooLarge, match=r"has 3 objects, more than 2 \(CAIRN_MAX_PUSH_OBJECTS\); push in parts"):
            await index_pack(runner, quarantine, sent(data), limits=few)
        small = replace(LIMITS, pack_bytes=Limit(6000, "CAIRN_MAX_PUSH_BYTES"))
        with pytest.raises(PackTooLarge, match=r"larger than 6,000 bytes \(CAIRN_MAX_PUSH_BYTES\)"):
            await index_pack(runner, quarantine, endless(), limits=small)
        assert taken <= 3


async def test_memory_is_given_for_objects_that_came_not_for_those_that_were_announced(
    runner: GitRunner, tmp_path: Path
) -> None:
    """Attack: the pack's first line announces so many objects that its one commit may fill gigabytes of memory."""
    limits = replace(LIMITS, objects=Limit(10_000_000, "CAIRN_MAX_PUSH_OBJECTS"))
    _, commit = zeros(COMMIT, b"", 700 << 20)
    data = raw_pack([commit], claimed=9_000_000)[:-20]  # and then the client waits
    async with open_quarantine(tmp_path / "q") as quarantine:
        with pytest.raises(PackTooLarge, match="more time, memory or disk"):
            await index_pack(runner, quarantine, endless(data), limits=limits)


CONTENT = b"content"
PERSON = b"A <a@b> 1 +0000"


def commit_pack(tree: bytes, *, author: bytes = PERSON, extra: bytes = b"", blob: bytes = CONTENT) -> bytes:
    commit = b"tree %b\nauthor %b\ncommitter %b\n%b\nm" % (object_id("tree", tree).encode(), author, PERSON, extra)
    return raw_pack([whole(COMMIT, commit), whole(TREE, tree), whole(BLOB, blob)])


def entry(mode: bytes, name: bytes, blob: bytes = CONTENT) -> bytes:
    return mode + b" " + name + b"\0" + bytes.fromhex(object_id("blob", blob))


def modules_pack(content: bytes) -> bytes:
    return commit_pack(entry(b"100644", b".gitmodules", content), blob=content)


MODULES = b'[submodule "x"]\n\tpath = x\n\turl = --upload-pack=evil\n'
REFUSED: Mapping[str, bytes] = {
    "hasDotgit": commit_pack(entry(b"100644", b".git")),
    "hasDotdot": commit_pack(entry(b"100644", b"..")),
    "hasDot:": commit_pack(entry(b"100644", b".")),
    "fullPathname": commit_pack(entry(b"100644", b"a/b")),
    "treeNotSorted": commit_pack(entry(b"100644", b"b") + entry(b"100644", b"a")),
    "duplicateEntries": commit_pack(entry(b"100644", b"a") + entry(b"100644", b"a")),
    "gitmodulesUrl": commit_pack(entry(b"100644", b".gitmodules", MODULES), blob=MODULES),
    "gitmodulesSymlink": commit_pack(entry(b"120000", b".gitmodules")),
    "nulInHeader": commit_pack(entry(b"100644", b"a"), extra=b"x\0y z\n"),
    "badDate": commit_pack(entry(b"100644", b"a"), author=b"A <a@b> x +0000"),
    "gitmodulesName": modules_pack(b'[submodule "../x"]\n\tpath = x\n\turl = https://x.test/\n'),
    "gitmodulesPath": modules_pack(b'[submodule "x"]\n\tpath = -x\n\turl = https://x.test/\n'),
    "gitmodulesUpdate": modules_pack(b'[submodule "x"]\n\tpath = x\n\turl = https://x.test/\n\tupdate = !evil\n'),
    "nullSha1": commit_pack(b"160000 a\0" + bytes(20)),
    "badTree": commit_pack(b"100644 a\0short"),
    "missingAuthor": raw_pack([whole(COMMIT, b"tree %b\n\nm" % object_id("tree", b"").encode()), whole(TREE, b"")]),
    "badDateOverflow": commit_pack(entry(b"100644", b"a"), author=b"A <a@b> 99999999999999999999 +0000"),
}
DOTGIT = [b".GIT", b".Git", b"git~1", b"GIT~1", b".git ", b".git.", b".git . .", b".git::$INDEX_ALLOCATION"]
"""What Windows takes for ``.git``; the others are what a Mac does, which ignores some characters of names."""
DOTGIT += [b".g\xe2\x80\x8cit", b"\xef\xbb\xbf.git", b".gi\xe2\x81\xaft"]


@pytest.mark.parametrize("name", DOTGIT, ids=ascii)
async def test_every_other_spelling_of_the_repository_folder_is_refused(
    runner: GitRunner, tmp_path: Path, name: bytes
) -> None:
    """Attack: on a machine that takes the name for ``.git``, a checkout would write hooks and configuration."""
    async with open_quarantine(tmp_path / "q") as quarantine:
        with pytest.raises(PackRefused, match="is refused: hasDotgit"):
            await index_pack(runner, quarantine, sent(commit_pack(entry(b"100644", name))), limits=LIMITS)


@pytest.mark.parametrize("reason", REFUSED)
async def test_objects_that_could_attack_a_reader_are_refused_by_name(
    runner: GitRunner, tmp_path: Path, reason: str
) -> None:
    """Attack: trees and commits that write into .git on checkout, or that two readers understand differently."""
    async with open_quarantine(tmp_path / "q") as quarantine:
        with pytest.raises(PackRefused, match=f"object [0-9a-f]{{40}} is refused: {reason}"):
            await index_pack(runner, quarantine, sent(REFUSED[reason]), limits=LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        commit_pack(entry(b"0100644", b"a")),
        commit_pack(entry(b"100644", b"a"), author=b"A <a@b> 1 +051800"),
        commit_pack(entry(b"100644", b"a"), author=b"A <a@b>1 +0000"),
        commit_pack(entry(b"100644", b"a"), author=b"<a@b> 1 +0000"),
    ],
    ids=["zero padded mode", "bad time zone", "no space before date", "no name"],
)
async def test_harmless_flaws_of_old_histories_are_tolerated(runner: GitRunner, tmp_path: Path, data: bytes) -> None:
    async with open_quarantine(tmp_path / "q") as quarantine:
        pack = await index_pack(runner, quarantine, sent(data), limits=LIMITS)
        assert pack is not None
        assert pack.objects == 3


async def test_a_commit_whose_tree_was_not_sent_is_missing_an_object(runner: GitRunner, tmp_path: Path) -> None:
    commit = b"tree %b\nauthor %b\ncommitter %b\n\nm" % (b"1" * 40, PERSON, PERSON)
    async with open_quarantine(tmp_path / "q") as quarantine:
        with pytest.raises(ObjectMissing, match="missing, fetch and push again"):
            await index_pack(runner, quarantine, sent(raw_pack([whole(COMMIT, commit)])), limits=LIMITS)


async def test_reading_stops_at_the_end_of_the_pack_though_the_client_keeps_its_side_open(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    data = repository.pack([repository.commit({"a": "x"})])
    closed = asyncio.Event()

    async def open_ended() -> AsyncIterator[bytes]:
        try:
            yield data
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with open_quarantine(tmp_path / "q") as quarantine:
        async with asyncio.timeout(20):
            pack = await index_pack(runner, quarantine, open_ended(), limits=LIMITS)
        assert pack is not None
        assert closed.is_set()


async def test_a_client_that_fails_ends_the_child_and_the_quarantine(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    before_children = children()
    data = repository.pack([repository.commit({"a": os.urandom(50_000)})])

    async def failing() -> AsyncIterator[bytes]:
        yield data[:20_000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async with open_quarantine(tmp_path / "q") as quarantine:
            await index_pack(runner, quarantine, failing(), limits=LIMITS)
    assert list((tmp_path / "q").iterdir()) == []
    assert children() == before_children


async def test_a_cancelled_push_ends_the_child_and_the_quarantine(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    before_children = children()
    data = repository.pack([repository.commit({"a": os.urandom(50_000)})])
    stalled = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield data[:20_000]
        stalled.set()
        await asyncio.Event().wait()

    async def push() -> None:
        async with open_quarantine(tmp_path / "q") as quarantine:
            await index_pack(runner, quarantine, stalling(), limits=LIMITS)

    task = asyncio.create_task(push())
    await asyncio.wait_for(stalled.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((tmp_path / "q").iterdir()) == []
    assert children() == before_children


HOLDER = """
import asyncio, sys, time
from pathlib import Path
from cairn.git.quarantine import open_quarantine
async def hold():
    async with open_quarantine(Path(sys.argv[1])) as quarantine:
        print(quarantine.path.name, flush=True)
        time.sleep(300)
asyncio.run(hold())
"""


async def test_the_sweep_deletes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "q"
    with subprocess.Popen([sys.executable, "-c", HOLDER, root], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            left = root / holder.stdout.readline().strip()
            async with open_quarantine(root) as own:
                assert sweep_quarantines(root) == 0
                assert left.is_dir()
                holder.send_signal(signal.SIGKILL)
                holder.wait(20)
                assert sweep_quarantines(root) == 1
                assert not left.exists()
                assert own.path.is_dir()
        finally:
            holder.kill()
    assert list(root.iterdir()) == []


async def test_new_commits_are_packed_whole_also_what_only_an_unreachable_copy_held(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    root = repository.commit({"a": "one"})
    unreachable = repository.commit({"a": "one", "b": "two"})
    repository.git("reset", "-q", "--hard", root)
    repository.repack()
    async with open_quarantine(tmp_path / "q", alternates=[repository.objects]) as quarantine:
        pack = await pack_new_objects(runner, quarantine, tips=[unreachable], roots=[root])
        assert pack is not None
        with PackIndex.open(pack.path_idx) as index:
            expected = {unreachable, repository.oid(f"{unreachable}:b"), repository.oid(f"{unreachable}^{{tree}}")}
            assert set(index.oids()) == {Oid(oid) for oid in expected}
        assert pack.appended_oids == ()
        assert await pack_new_objects(runner, quarantine, tips=[root], roots=[root]) is None


async def test_a_pack_that_stalls_gives_its_child_back(
    runner: GitRunner, repository: StockRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: begin a push over SSH and then send a byte an hour; the git child waited along."""
    monkeypatch.setattr("cairn.git.quarantine._WAIT_SECONDS", 0.05)
    data = repository.pack([repository.commit({"a": "x" * 5000})])

    async def stalled() -> AsyncIterator[bytes]:
        yield data[:40]
        await asyncio.Event().wait()

    async with open_quarantine(tmp_path / "q") as quarantine:
        async with asyncio.timeout(20):
            with pytest.raises(PackTooSlow, match="40 bytes"):
                await index_pack(runner, quarantine, stalled(), limits=LIMITS)
    assert runner.running == 0
