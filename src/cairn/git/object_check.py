"""Judging the objects of a pack in its quarantine by size and depth, and finding the small files among them."""

import asyncio
from collections.abc import Callable, Iterator

from cairn.base.settings import MIB
from cairn.git.commands import CHECK_FORMAT, GitCommand
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import IndexedPack, PackLimits, PackTooLarge, Quarantine
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

NODE_BYTES_MAX = 64 * MIB
"""Largest commit, tree or tag: unlike files, those are read into memory whole. A folder of a million names has 40."""

SMALL_FILE_BYTES = range(64, 1024)
"""Sizes of files that may stand for something that is kept elsewhere, as Git LFS's pointers do."""

_INLINE_LINES = 500


async def check_objects(
    runner: GitRunner, quarantine: Quarantine, pack: IndexedPack, *, limits: PackLimits
) -> list[Oid]:
    """Return the small files that came, if no object is too large and no delta chain too long.

    Errors: PackTooLarge names the object.
    """
    command = GitCommand(
        name="cat-file",
        options=(CHECK_FORMAT, "--batch-all-objects"),
    )
    with PackIndex.open(pack.path_idx) as index:
        check = _ObjectCheck(index, limits)
        # Without alternates only the pack's own objects are listed, in the index's order, all delta bases among them.
        async with runner.spawn(command, git_dir=quarantine.path) as child:
            async for lines in child.line_batches():
                await _judge(check.feed, lines)
            await child.finish()
        if len(index) <= _INLINE_LINES:
            check.finish()
        else:
            await asyncio.to_thread(check.finish)
    return sorted(check.small_files.difference(pack.appended_oids))


async def _judge(judge: Callable[[list[bytes]], None], lines: list[bytes]) -> None:
    """Run ``judge`` on the lines: few at once, many in a thread."""
    if len(lines) <= _INLINE_LINES:
        judge(lines)
    else:
        await asyncio.to_thread(judge, lines)


_NO_BASE = b"0" * 40


class _ObjectCheck:
    """Collects sizes and delta bases of one pack: four bytes an object, whatever the pack holds."""

    def __init__(self, index: PackIndex, limits: PackLimits) -> None:
        self._index = index
        self._limits = limits
        # The rank of the base plus one; 0 for an object that is no delta.
        self._bases = memoryview(bytearray(4 * len(index))).cast("I")
        self._listed = 0
        self.small_files = set[Oid]()

    def feed(self, lines: list[bytes]) -> None:
        limit = self._limits.file_bytes
        for rank, line in enumerate(lines, self._listed):
            name, kind, size, base = line.split(b" ")
            if kind == b"blob" and int(size) > limit.value:
                raise PackTooLarge(
                    f"A file of this push (blob {name.decode()}) has {int(size):,} bytes, more than {limit.value:,} "
                    f"({limit.setting}); keep large files outside of git or ask the operator."
                )
            if kind != b"blob" and int(size) > NODE_BYTES_MAX:
                raise PackTooLarge(
                    f"The {kind.decode()} {name.decode()} of this push has {int(size):,} bytes, more than "
                    f"{NODE_BYTES_MAX:,}; only files may be larger."
                )
            if kind == b"blob" and int(size) in SMALL_FILE_BYTES:
                self.small_files.add(Oid(name.decode()))
            if base != _NO_BASE:
                self._bases[rank] = self._rank(base) + 1
        self._listed += len(lines)

    def finish(self) -> None:
        assert self._listed == len(self._index), "git lists what the index holds"
        limit = self._limits.delta_depth
        depths = memoryview(bytearray(4 * len(self._index))).cast("I")
        for start in range(len(self._index)):
            chain = list(self._chain(start, depths))
            depth = self._depth_below(chain, start, depths)
            for rank in reversed(chain):
                depth += 1
                depths[rank] = depth
            if depth > limit.value:
                raise PackTooLarge(
                    f"Object {self._index.oid_at(start)} is stored as a chain of {depth:,} deltas, more than "
                    f"{limit.value:,} ({limit.setting}); run git repack -adf and push again."
                )

    def _chain(self, start: int, depths: "memoryview[int]") -> Iterator[int]:
        """Yield ``start`` and the deltas below it whose depth is not known yet."""
        rank = start
        while self._bases[rank] and not depths[rank]:
            yield rank
            rank = self._bases[rank] - 1

    def _depth_below(self, chain: list[int], start: int, depths: "memoryview[int]") -> int:
        bottom = self._bases[chain[-1]] - 1 if chain else start
        return int(depths[bottom])

    def _rank(self, name: bytes) -> int:
        rank = self._index.position(bytes.fromhex(name.decode("ascii")))
        assert rank is not None, "git lists only what the index holds"
        return rank
