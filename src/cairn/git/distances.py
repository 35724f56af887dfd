"""How far branches are from a base: what each has alone and what it lacks, by one walk for all of them.

Git 2.39 counts one pair at a time. Here every commit on the way carries the set of those that reach it, as a number;
the walk ends where all of them reach everything that is left.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.kept_answers import keep_answer
from cairn.git.node_cache import View
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

WALKED_MAX = 200_000
"""Commits of one walk: a branch whose distance is not settled by then is too far away to tell."""

TIPS_MAX = 200
DEADLINE_SECONDS = 30


class Distance(msgspec.Struct, array_like=True, frozen=True):
    """Commits that only the tip has, and commits that only the base has."""

    ahead: int
    behind: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Distance]).decode


async def read_distances(
    engine: Engine, state: StoreState, view: View, *, base: Oid, tips: Iterable[Oid]
) -> dict[Oid, Distance]:
    """Return the distance of each tip from ``base``, found or worked out; one that is too far away is left out.

    At most TIPS_MAX tips, all of them commits that refs of ``state`` mean. Errors: GitTimedOut.
    """
    wanted = sorted(set(tips))
    assert len(wanted) <= TIPS_MAX, "a page's branches, not a repository's"

    async def make() -> bytes:
        walk = Walk(base, wanted)
        command = GitCommand(name="rev-list", options=("--date-order", "--parents", "--stdin"))
        stdin = "".join(f"{oid}\n" for oid in (base, *wanted)).encode("ascii")
        async with engine.runner.spawn(
            command, git_dir=view.path, stdin=stdin, deadline_seconds=DEADLINE_SECONDS
        ) as child:
            async for lines in child.line_batches():
                if await asyncio.to_thread(walk.feed, lines):
                    break
            else:
                await child.finish()
        return _encode(walk.distances())

    # A commit never changes: no version of the refs belongs to the question.
    kept = await keep_answer(engine, state, make, "distances", base, *wanted, outlives_readers=True)
    return {Oid(oid): distance for oid, distance in _decode(kept).items()}


class Walk:
    """What a walk has counted so far: fed with ``commit parent …`` lines, children always before their parents."""

    def __init__(self, base: Oid, tips: Sequence[Oid]) -> None:
        self._tips = tips
        self._full = (1 << (len(tips) + 1)) - 1
        self._pending: dict[bytes, int] = {}
        for number, oid in enumerate((base, *tips)):
            key = oid.encode("ascii")
            self._pending[key] = self._pending.get(key, 0) | 1 << number
        self._apart = sum(mask != self._full for mask in self._pending.values())
        self._counted: Counter[int] = Counter()
        self._walked = 0

    def feed(self, lines: Iterable[bytes]) -> bool:
        """Count further commits; return True when nothing is left to tell apart, or the walk has been long enough."""
        pending, full = self._pending, self._full
        for line in lines:
            oid, *parents = line.split()
            mask = pending.pop(oid, 0)
            self._walked += 1
            if mask != full:
                self._apart -= 1
                self._counted[mask] += 1
            for parent in parents:
                before = pending.get(parent)
                after = mask if before is None else before | mask
                if after != before:
                    pending[parent] = after
                    self._apart += (after != full) - (before is not None and before != full)
            if not self._apart or self._walked >= WALKED_MAX:
                return True
        return False

    def distances(self) -> dict[Oid, Distance]:
        """Return the distance of every tip for which no commit that is left could change it."""
        found: dict[Oid, Distance] = {}
        for number, tip in enumerate(self._tips, 1):
            if all(mask & 1 == mask >> number & 1 for mask in self._pending.values()):
                ahead = sum(count for mask, count in self._counted.items() if mask >> number & 1 and not mask & 1)
                behind = sum(count for mask, count in self._counted.items() if mask & 1 and not mask >> number & 1)
                found[tip] = Distance(ahead, behind)
        return found
