"""Pointers: the small files in git that stand for large objects.

Source: git-lfs's docs/spec.md, "The Pointer": lines of key and value, version first, shorter than 1,024 bytes.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.history import Objects
from cairn.git.object_check import SMALL_FILE_BYTES
from cairn.git.reading import open_repository
from cairn.git.runner import GitRunner
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

POINTER_BYTES_MAX = SMALL_FILE_BYTES.stop
"""A pointer is shorter than this."""

_BLOBS_AT_ONCE = 50_000
_BLOBS_IN_PROCESS_MAX = 500
"""So few are read sooner here than a child starts."""

_LINE = re.compile(rb"([a-z0-9.-]+) (.+)\n")
_VERSIONS = (b"https://git-lfs.github.com/spec/v1", b"https://hawser.github.com/spec/v1")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a pointer says: the object's SHA-256 in hex and its size in bytes."""

    sha256: str
    size_bytes: int


def read_pointer(data: bytes) -> Pointer | None:
    """Return what a pointer says, None for anything else."""
    if len(data) >= POINTER_BYTES_MAX or not data.startswith(b"version "):
        return None
    lines = _LINE.findall(data)
    facts = dict(lines)
    method, _, digest = facts.get(b"oid", b"").partition(b":")
    size = facts.get(b"size", b"")
    is_whole = b"".join(b"%b %b\n" % line for line in lines) == data and facts.get(b"version") in _VERSIONS
    is_object = method == b"sha256" and re.fullmatch(rb"[0-9a-f]{64}", digest) and re.fullmatch(rb"[0-9]{1,18}", size)
    if not is_whole or not is_object:
        return None
    return Pointer(digest.decode("ascii"), int(size))


async def named_by(engine: Engine, state: StoreState, roots: Sequence[Oid]) -> dict[str, int]:
    """Return every object that a pointer names which the roots reach, in any commit: its SHA-256 and the size said.

    Git leaves out what is too large for a pointer; of the rest 50,000 blobs at a time are read. Errors: GitFailed (a
    root that cannot be followed), PackDamaged, the storage's.
    """
    named: dict[str, int] = {}
    listing = GitCommand(
        name="rev-list",
        options=(
            *("--objects", "--no-object-names", "--stdin"),
            *(f"--filter=blob:limit={POINTER_BYTES_MAX}", "--filter=object:type=blob"),
        ),
    )
    stdin = "".join(f"{oid}\n" for oid in roots).encode("ascii")
    if not roots:
        return named
    async with engine.view(state) as view:
        batch: list[bytes] = []
        async with engine.runner.spawn(listing, git_dir=view.path, stdin=stdin) as child:
            async for lines in child.line_batches():
                batch += [line for line in lines if line]
                if len(batch) >= _BLOBS_AT_ONCE:
                    named |= await _named(engine.runner, Objects(view.path), batch)
                    batch = []
            await child.finish()
        named |= await _named(engine.runner, Objects(view.path), batch)
    return named


async def pointers_among(runner: GitRunner, objects: Objects, oids: Sequence[Oid]) -> dict[Oid, Pointer]:
    """Return those of the blobs that are pointers. Errors: GitFailed, GitBusy."""
    if len(oids) <= _BLOBS_IN_PROCESS_MAX:
        return await asyncio.to_thread(_read_here, objects, oids) if oids else {}
    found: dict[Oid, Pointer] = {}
    for start in range(0, len(oids), _BLOBS_AT_ONCE):
        part = [oid.encode("ascii") for oid in oids[start : start + _BLOBS_AT_ONCE]]
        found |= await _read_by_child(runner, objects, part)
    return found


async def _named(runner: GitRunner, objects: Objects, oids: Sequence[bytes]) -> dict[str, int]:
    found = await _read_by_child(runner, objects, oids)
    return {pointer.sha256: pointer.size_bytes for pointer in found.values()}


def _read_here(objects: Objects, oids: Sequence[Oid]) -> dict[Oid, Pointer]:
    repository = open_repository(objects.git_dir, alternates=objects.alternates)
    try:
        read = {oid: read_pointer(repository.odb.read(oid)[1]) for oid in oids}
    finally:
        repository.free()
    return {oid: pointer for oid, pointer in read.items() if pointer is not None}


async def _read_by_child(runner: GitRunner, objects: Objects, oids: Sequence[bytes]) -> dict[Oid, Pointer]:
    if not oids:
        return {}
    reader = _BatchReader()
    command = GitCommand(name="cat-file", options=("--batch", "--buffer"))
    stdin = b"\n".join(oids) + b"\n"
    async with runner.spawn(command, git_dir=objects.git_dir, alternates=objects.alternates, stdin=stdin) as child:
        async for chunk in child.chunks():
            await asyncio.to_thread(reader.take, chunk)
        await child.finish()
    return reader.found


class _BatchReader:
    """Reads what ``git cat-file --batch`` writes: ``oid type size``, the object, an end of line."""

    def __init__(self) -> None:
        self.found: dict[Oid, Pointer] = {}
        self._rest = bytearray()

    def take(self, data: bytes) -> None:
        """Read every object that is whole by now."""
        self._rest += data
        place = 0
        while (end := self._rest.find(b"\n", place)) >= 0:
            oid, _, facts = self._rest[place:end].decode("ascii").partition(" ")
            kind, _, size = facts.partition(" ")
            after = end + 1 + (int(size) + 1 if size else 0)
            if after > len(self._rest):
                break
            pointer = read_pointer(bytes(self._rest[end + 1 : after - 1])) if kind == "blob" else None
            if pointer is not None:
                self.found[Oid(oid)] = pointer
            place = after
        del self._rest[:place]
