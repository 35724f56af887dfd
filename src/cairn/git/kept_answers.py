"""Answers about what never changes its meaning, worked out once for a node: kept in memory or on its disk, bounded
with the rest of its cache, gone after a purge."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from cairn.git.engine import Engine
from cairn.git.fetch_cache import answer_key
from cairn.git.store_state import StoreState


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
    known = engine.answers.find(key)
    if known is not None:
        return known if isinstance(known, bytes) else await asyncio.to_thread(known.read_bytes)

    async def produce() -> AsyncGenerator[bytes, None]:
        yield await make()

    async with engine.answers.fly(
        key, produce, shared=None, is_final=lambda head: True, outlives_readers=outlives_readers
    ) as flight:
        return b"".join([chunk async for chunk in flight.chunks()])
