"""How slowly a client may take or send: a minute of patience, won back by every byte that moves.

Over HTTP the connections themselves are watched (``programs.connections``); inside SSH a client can stall one
channel of a connection that lives, so each channel has its own pace.
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from cairn.git.pktline import ConversationEnded

T = TypeVar("T")

BYTES_PER_SECOND_MIN = 4 << 10
TRANSFER_SECONDS_MAX = 6 * 3600
"""No conversation takes longer, whatever its pace."""


class Quiet(ConversationEnded):
    """Nothing moved on a channel for so long that its client counts as gone, or it moved too slowly."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing, or too little, was sent or taken for {seconds:g} s")


class Pace:
    """The patience with one client in one direction. Only waiting for the client uses it up."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._left = grace_seconds

    async def give(self, taken: Awaitable[object], count: int) -> None:
        """Return when ``taken`` has: the client has room again after ``count`` more bytes. Errors: Quiet."""
        self._left += count / BYTES_PER_SECOND_MIN
        await self._waited(taken)
        self._left = min(self._left, self._grace_seconds)

    async def take(self, piece: Awaitable[bytes]) -> bytes:
        """Return the next piece that the client sends. Errors: Quiet."""
        data = await self._waited(piece)
        self._left = min(self._left + len(data) / BYTES_PER_SECOND_MIN, self._grace_seconds)
        return data

    async def _waited(self, step: Awaitable[T]) -> T:
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(self._left, 0.001)):
                return await step
        except TimeoutError:
            raise Quiet(self._grace_seconds) from None
        finally:
            self._left -= time.monotonic() - started
