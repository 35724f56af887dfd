"""Where objects wait until they are accepted: a private bare repository, seen by nobody, gone with its push.

``index_pack`` fills it from a client, pygit2 and merges fill it from the server's side; then
``object_check.check_objects`` and ``closure.check_closure`` judge, and the pack is uploaded from here. Objects that
already exist are visible through ``alternates``, handed to children by environment only.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cairn.base.errors import Conflict, Invalid, TooLarge
from cairn.base.ids import random_id
from cairn.base.settings import GIB, MIB
from cairn.git.commands import GitCommand
from cairn.git.packfile import PACK_HEADER_BYTES, PackCorrupt, PackIndex, read_pack_header
from cairn.git.places import Kind
from cairn.git.runner import GitChild, GitFailed, GitLimits, GitRunner, StdinPipe
from cairn.git.types import OID_BYTES, Oid

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogallrefupdates = false\n"
_WAIT_SECONDS = 120
_BYTES_PER_SECOND_MIN = 16 << 10
"""From the pack's first bytes on, its git child waits for the client this long altogether, and a second for each 16 KiB
that came: who computes does so before."""

_CPU_SECONDS = 30
"""A pack's git child may compute this long altogether, and a second for each MiB that came: what is small and unfolds
into gigabytes costs whoever sends it as much as it costs us."""

_MEMORY_BYTES = 512 * MIB
_OBJECT_MEMORY_BYTES = 400
_PACKED_OBJECT_BYTES_MIN = 9
_MEMORY_LOOK_SECONDS = 0.05
_MEMORY_BETWEEN_LOOKS = 64 * MIB

# Severities of git's object checks. Everything that could mislead or attack a client stays an error: .git and
# .gitmodules tricks, NUL bytes, unsorted or duplicate tree entries, null ids. Tolerated is what old or foreign programs
# really wrote into histories that people still push, harmless to every reader; the big hosts accept much the same.
_TOLERATED = (
    "badTimezone",
    "missingSpaceBeforeDate",
    "zeroPaddedFilemode",
    "missingNameBeforeEmail",
    "missingEmail",
)
STRICT = "--strict=" + ",".join(f"{name}=ignore" for name in _TOLERATED)


class ObjectMissing(Conflict):
    """A push relies on an object that this repository does not have, or that the pusher may not rely on."""

    def __init__(self, oid: str | None) -> None:
        what = f"object {oid}" if oid else "an object this pack builds on"
        super().__init__(f"{what} is missing, fetch and push again")
        self.oid = oid


class PackRefused(Invalid):
    """A pack holds an object that git's own checks refuse; the message has the object and the reason."""


class PackTooSlow(Invalid):
    """A pack trickles in so slowly that its git child would wait for hours."""


class PackTooLarge(TooLarge):
    """A pack is beyond a limit; the message names the limit, its value and its setting."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A number and the environment variable that sets it (``CAIRN_MAX_PUSH_BYTES``)."""

    value: int
    setting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackLimits:
    """What one pack may bring: bytes and objects while it streams, file size and delta depth after indexing."""

    pack_bytes: Limit
    objects: Limit
    file_bytes: Limit
    delta_depth: Limit


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A private bare repository at ``path``; ``alternates`` are object directories it may read."""

    path: Path
    alternates: tuple[Path, ...] = ()

    @property
    def objects(self) -> Path:
        """Its own object directory."""
        return self.path / "objects"

    @property
    def packs(self) -> Path:
        """Where its packs are."""
        return self.path / "objects" / "pack"


@dataclass(frozen=True, slots=True)
class IndexedPack:
    """A verified pack in a quarantine; ``appended_oids`` are delta bases ``--fix-thin`` copied in from elsewhere."""

    path_pack: Path
    path_idx: Path
    objects: int
    appended_oids: tuple[Oid, ...]
    bytes: int
    checksum: str
    stands_alone: bool = False
    """Nothing else was to be seen when it was verified: what its objects name, it holds."""


@asynccontextmanager
async def open_quarantine(root: Path, *, alternates: Sequence[Path] = ()) -> AsyncIterator[Quarantine]:
    """Make a quarantine below ``root`` for the length of the block; it is deleted however the block ends.

    A lock held on a file beside it tells ``sweep_quarantines`` that its process lives.
    """
    root.mkdir(parents=True, exist_ok=True)
    name = f"quarantine-{random_id()}"
    lock = _create_locked(root / f"{name}.lock")
    path = root / name
    try:
        _lay_out(path)
        yield Quarantine(path.absolute(), tuple(alternates))
    finally:
        shutil.rmtree(path, ignore_errors=True)
        (root / f"{name}.lock").unlink(missing_ok=True)
        os.close(lock)


def sweep_quarantines(root: Path) -> int:
    """Delete the quarantines below ``root`` whose process is gone; return how many. Blocks: call it in a thread."""
    swept = 0
    for lock_path in root.glob("quarantine-*.lock"):
        with suppress(FileNotFoundError):
            lock = os.open(lock_path, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
                lock_path.unlink(missing_ok=True)
                swept += 1
            except BlockingIOError:
                pass
            finally:
                os.close(lock)
    return swept


async def index_pack(
    runner: GitRunner, quarantine: Quarantine, chunks: AsyncIterator[bytes], *, limits: PackLimits
) -> IndexedPack | None:
    """Receive a pack into the quarantine, verified object by object; None for a pack without objects.

    Reading stops when the pack is complete, whether or not ``chunks`` ends. Errors: PackTooLarge while streaming,
    PackCorrupt (damaged or cut short), PackTooSlow, PackRefused (git's checks), ObjectMissing (a base or a linked
    object), GitBusy, GitTimedOut, OSError with ENOSPC when the disk is full.
    """
    head = bytearray()
    while len(head) < PACK_HEADER_BYTES and (chunk := await anext(chunks, b"")):
        head += chunk
    _, received = read_pack_header(bytes(head))
    if received > limits.objects.value:
        raise PackTooLarge(
            f"This push has {received:,} objects, more than {limits.objects.value:,} ({limits.objects.setting}); "
            "push in parts or ask the operator."
        )
    if received == 0:
        await _check_empty_pack(bytes(head), chunks)
        return None
    # Before, not after: an alternate that goes away later has lent what it had.
    stands_alone = await asyncio.to_thread(_sees_nothing, quarantine)
    command = GitCommand(name="index-pack", options=("--stdin", "--fix-thin", STRICT, f"--threads={runner.threads}"))
    async with runner.spawn(
        command,
        git_dir=quarantine.path,
        alternates=quarantine.alternates,
        stdin=StdinPipe.PIPE,
        limits=_child_limits(limits.pack_bytes.value, received),
        kind=Kind.PACED,
    ) as child:
        intake = _Intake(child, claimed=received, limit=limits.pack_bytes)
        await intake.take(bytes(head), chunks)
        exit_code = await child.wait()
        if exit_code != 0:
            raise _explain(GitFailed("index-pack", exit_code, child.stderr))
        words = (await child.read()).split()
    described = await _describe(quarantine, words[-1].decode("ascii"), received=received)
    return replace(described, stands_alone=stands_alone)


async def pack_new_objects(
    runner: GitRunner, quarantine: Quarantine, *, tips: Sequence[Oid], roots: Sequence[Oid]
) -> IndexedPack | None:
    """Pack what ``tips`` reach and ``roots`` do not, wherever it lies now; None if that is nothing.

    For commits the server made: loose objects in the quarantine, and objects that exist in the view but that no root
    reaches (RELIABILITY 1.3 D: never "it exists already"). Git's checks run over the pack as over a pushed one:
    PackRefused, ObjectMissing.
    """
    revisions = "".join(f"{oid}\n" for oid in tips) + "".join(f"^{oid}\n" for oid in roots)
    command = GitCommand(
        name="pack-objects",
        options=("--revs", "--non-empty", "--delta-base-offset", "-q"),
        folders=(quarantine.packs / "pack",),
    )
    output = await runner.run(
        command, git_dir=quarantine.path, alternates=quarantine.alternates, stdin=revisions.encode("ascii")
    )
    names = output.split()
    if not names:
        return None
    checksum = names[-1].decode("ascii")
    verify = GitCommand(name="index-pack", options=(STRICT,), folders=(quarantine.packs / f"pack-{checksum}.pack",))
    try:
        await runner.run(verify, git_dir=quarantine.path, alternates=quarantine.alternates)
    except GitFailed as failure:
        raise _explain(failure) from failure
    return await _describe(quarantine, checksum, received=None)


def _create_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A sweeper may have taken the file between its creation and the lock: then it is unlinked, make another.
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def _lay_out(path: Path) -> None:
    path.mkdir(mode=0o700)
    (path / "objects" / "pack").mkdir(parents=True)
    (path / "refs").mkdir()
    (path / "config").write_text(_CONFIG)
    (path / "HEAD").write_text("ref: refs/heads/main\n")


def _sees_nothing(quarantine: Quarantine) -> bool:
    """Tell whether no object lies in any alternate. Blocks."""
    found = (file for folder in quarantine.alternates for file in folder.rglob("*") if file.parent.name != "info")
    return not any(file.is_file() for file in found)


def _child_limits(pack_bytes: int, objects: int) -> GitLimits:
    """Return what indexing an honest pack of this size may use: a bomb unfolds into far more than it weighs."""
    return GitLimits(
        memory_bytes=_MEMORY_BYTES + _OBJECT_MEMORY_BYTES * objects,
        file_bytes=max(2 * pack_bytes, GIB),
        cpu_seconds=_CPU_SECONDS + pack_bytes // MIB,
        first_cpu_seconds=_CPU_SECONDS,
    )


async def _check_empty_pack(head: bytes, chunks: AsyncIterator[bytes]) -> None:
    data = bytearray(head)
    while len(data) < PACK_HEADER_BYTES + OID_BYTES and (chunk := await anext(chunks, b"")):
        data += chunk
    expected = hashlib.sha1(data[:PACK_HEADER_BYTES], usedforsecurity=False).digest()
    if bytes(data[PACK_HEADER_BYTES:]) != expected:
        raise PackCorrupt("the pack without objects has a wrong checksum; push again")


class _Intake:
    """Brings a pack to its git child, which may use more the more of the pack has come."""

    def __init__(self, child: GitChild, *, claimed: int, limit: Limit) -> None:
        self._child = child
        self._claimed = claimed
        self._limit = limit
        self._received = 0

    async def take(self, head: bytes, chunks: AsyncIterator[bytes]) -> None:
        """Write the pack to the child until the child ends, or the source does and the child has had its say on it.

        A client may keep its side open, so the child's end is enough.
        """
        feeding = asyncio.create_task(self._write_all(head, chunks))
        ended = asyncio.create_task(self._ended(feeding))
        watching = asyncio.create_task(self._watch())
        tasks = {feeding, ended, watching}
        try:
            await asyncio.wait({ended, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # nobody holds a pipe or the pidfd when the child is waited for again
        for task in (feeding, watching):
            if not task.cancelled():
                task.result()

    async def _ended(self, feeding: "asyncio.Task[None]") -> None:
        """Return when the child has ended, or feeding it has failed."""
        ended = asyncio.create_task(self._child.ended())
        try:
            await asyncio.wait({feeding, ended}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done() and feeding.exception() is None:
                self._child.close_stdin()
                await ended
        finally:
            ended.cancel()
            await asyncio.wait({ended})

    async def _write_all(self, head: bytes, chunks: AsyncIterator[bytes]) -> None:
        chunk, waited_seconds = head, 0.0
        while True:
            self._received += len(chunk)
            if self._received > self._limit.value:
                raise PackTooLarge(
                    f"This push is larger than {self._limit.value:,} bytes ({self._limit.setting}); "
                    "push in parts or ask the operator."
                )
            self._child.allow_cpu(_CPU_SECONDS + self._received // MIB)
            try:
                await self._child.write(chunk)
            except BrokenPipeError:
                return
            asked_at = time.monotonic()
            patience = _WAIT_SECONDS + self._received / _BYTES_PER_SECOND_MIN - waited_seconds
            try:
                async with asyncio.timeout(max(patience, 0)):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise PackTooSlow(f"only {self._received:,} bytes of the pack came in time; push again") from None
            waited_seconds += time.monotonic() - asked_at

    async def _watch(self) -> None:
        """End a child that uses the memory of objects which its pack claims to have and which never came.

        Git reserves memory for as many as the first line says, so the limit that the kernel keeps must allow that.
        """
        while True:
            await asyncio.sleep(_MEMORY_LOOK_SECONDS)
            objects = min(self._claimed, self._received // _PACKED_OBJECT_BYTES_MIN)
            if self._child.memory_bytes > _MEMORY_BYTES - _MEMORY_BETWEEN_LOOKS + _OBJECT_MEMORY_BYTES * objects:
                raise PackTooLarge(_TOO_MUCH)


async def _describe(quarantine: Quarantine, checksum: str, *, received: int | None) -> IndexedPack:
    path_pack = quarantine.packs / f"pack-{checksum}.pack"
    path_idx = quarantine.packs / f"pack-{checksum}.idx"
    with PackIndex.open(path_idx) as index:
        objects = len(index)
        appended = 0 if received is None else objects - received
        last = await asyncio.to_thread(index.last_oids, appended) if objects > 10_000 else index.last_oids(appended)
    return IndexedPack(path_pack, path_idx, objects, last, path_pack.stat().st_size, checksum)


_TOO_MUCH = "unpacking this push would use more time, memory or disk than one push may"
_EXPLANATIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"early EOF|premature end of pack|unexpected disconnect"), "truncated"),
    (re.compile(r"did not receive expected object (?P<oid>[0-9a-f]{40})"), "missing"),
    (re.compile(r"[Nn]ot all child objects of (?P<oid>[0-9a-f]{40}) are reachable"), "missing"),
    (re.compile(r"unresolved delta"), "missing"),
    (re.compile(r"object (?P<oid>[0-9a-f]{40}): (?P<reason>\w+: [^\n]{1,300})"), "refused"),
    (re.compile(r"object (?P<oid>[0-9a-f]{40}) (?P<reason>appears twice)|SHA1 COLLISION"), "refused"),
)


def _explain(failure: GitFailed) -> Exception:
    """Turn index-pack's failure into the error its pusher can act on; the original stays attached for logs."""
    error: Exception | None = None
    for pattern, kind in _EXPLANATIONS:
        match = pattern.search(failure.stderr)
        if match is None:
            continue
        groups = match.groupdict()
        if kind == "truncated":
            error = PackCorrupt("the pack ended before all its objects were sent; push again")
        elif kind == "missing":
            error = ObjectMissing(groups.get("oid"))
        else:
            reason = groups.get("reason") or "collides with another object"
            error = PackRefused(f"object {groups.get('oid') or ''} is refused: {reason}".replace("  ", " "))
        break
    if error is None and re.search(r"No space left on device|Disk quota exceeded", failure.stderr):
        error = OSError(errno.ENOSPC, "No space left on device")  # as if we had written ourselves
    if error is None and failure.exit_code < 0:
        error = PackTooLarge(_TOO_MUCH)
    if error is None and re.search(r"[Oo]ut of memory|mmap failed|File too large", failure.stderr):
        error = PackTooLarge(_TOO_MUCH)
    error = error or PackCorrupt("the pack is damaged and cannot be read; run git fsck and push again")
    error.__cause__ = failure
    return error
