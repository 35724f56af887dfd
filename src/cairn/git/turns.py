"""Work that several want and one does: whoever waited while it failed fails with it, instead of trying once more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cairn.storage.errors import StorageUnavailable


class Turns:
    """One works at a time.

    With an object store that hangs, a queue of ten would otherwise wait ten times as long as the first of them did.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: StorageUnavailable | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Run the block alone; StorageUnavailable at once if a turn that was waited for ended so."""
        failures_before = self._failures
        async with self._lock:
            if self._failure is not None and self._failures > failures_before:
                raise self._failure.with_traceback(None)
            try:
                yield
            except StorageUnavailable as error:
                self._failures += 1
                self._failure = error
                raise
