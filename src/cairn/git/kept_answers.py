"""Answers about what never changes its meaning, worked out once for a node: kept in memory or on its disk, bounded
with the rest of its cache, gone after a purge."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.fetch_cache import answer_key
from cairn.git.node_cache import View
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

_EARLIER_TRIED = 200


async def keep_answer(
    engine: Engine,
    state: StoreState,
    make: Callable[[], Awaitable[bytes]],
    *about: object,
    outlives_readers: bool = False,
) -> bytes:
    """Return what ``make`` returns for what ``about`` says, made now or found; requests for one answer share the work.

    The caller has proved that the asker may know it; ``about`` begins with a word for the kind of answer and holds
    everything that decides it. With ``outlives_readers`` it is finished although nobody waits any more. Errors:
    ``make``'s, if they are CairnErrors; Unavailable for others.
    """
    key = answer_key(about[0], state.id, state.cache_epoch, *about[1:])
    known = await _find(engine, key)
    if known is not None:
        return known

    async def produce() -> AsyncGenerator[bytes, None]:
        yield await make()

    async with engine.answers.fly(
        key, produce, shared=None, is_final=lambda head: True, outlives_readers=outlives_readers
    ) as flight:
        return b"".join([chunk async for chunk in flight.chunks()])


async def find_earlier(engine: Engine, state: StoreState, view: View, tip: Oid, kind: str) -> tuple[Oid, bytes] | None:
    """Return the nearest commit before ``tip`` on its main line with a kept answer of a kind, and the answer."""
    options = ("--first-parent", f"--max-count={_EARLIER_TRIED}")
    output = await engine.runner.run(GitCommand(name="rev-list", options=options, revisions=(tip,)), git_dir=view.path)
    for word in output.split()[1:]:
        oid = Oid(word.decode("ascii"))
        known = await _find(engine, answer_key(kind, state.id, state.cache_epoch, oid))
        if known is not None:
            return oid, known
    return None


async def _find(engine: Engine, key: str) -> bytes | None:
    known = engine.answers.find(key)
    return await asyncio.to_thread(known.read_bytes) if isinstance(known, Path) else known
