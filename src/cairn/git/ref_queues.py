"""Writers of one ref that build on whatever it is now stand in a line: without one each would undo the others' work.

Only for speed and fairness within a program. What keeps writers apart is the comparison under the store's lock.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cairn.git.types import RefName


class RefQueues:
    """A line for each ref of each store that somebody waits for; empty lines take no memory."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, RefName], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, store_id: int, name: RefName) -> AsyncIterator[None]:
        """Run the block while nobody else of this program has a turn at the ref; first come, first served."""
        key = (store_id, name)
        lock, waiting = self._lines.get(key, (asyncio.Lock(), 0))
        self._lines[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._lines.pop(key)
            if waiting > 1:
                self._lines[key] = (lock, waiting - 1)
