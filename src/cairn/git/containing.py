"""Which tips contain a commit: what a commit's page says when somebody asks."""

from collections.abc import Iterable

import msgspec

from cairn.git.commands import GitCommand, exclude
from cairn.git.engine import Engine
from cairn.git.kept_answers import keep_answer
from cairn.git.node_cache import View
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

DEADLINE_SECONDS = 20

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str]).decode


async def read_containing(
    engine: Engine, state: StoreState, view: View, *, commit: Oid, tips: Iterable[Oid]
) -> frozenset[Oid]:
    """Return those ``tips`` (all commits that refs of ``state`` mean) from which ``commit`` can be reached.

    Errors: GitTimedOut after DEADLINE_SECONDS.
    """
    wanted = frozenset(tips)

    async def make() -> bytes:
        found = wanted & {commit}
        others = sorted(wanted - found)
        if others:
            # Everything between the commit and the tips that descends from the commit, and nothing else.
            command = GitCommand(name="rev-list", options=("--ancestry-path", "--stdin"))
            stdin = "".join(f"{word}\n" for word in (exclude(commit), *others)).encode("ascii")
            async with engine.runner.spawn(
                command, git_dir=view.path, stdin=stdin, deadline_seconds=DEADLINE_SECONDS
            ) as child:
                async for lines in child.line_batches():
                    found |= wanted.intersection(line.decode("ascii") for line in lines)
                await child.finish()
        return _encode(sorted(found))

    kept = await keep_answer(engine, state, make, "containing", state.ref_version, commit)
    return frozenset(Oid(oid) for oid in _decode(kept))
