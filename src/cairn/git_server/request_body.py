"""The body of one HTTP request: bounded in time and inflated size, and the place where a client's departure shows.

A server never tells by ``send()`` that the client left; only ``receive()`` does. So one task asks ``receive()`` and
keeps what came until the reader takes it, all at once: git's client sends a pack in pieces of 4 KiB, and a pack of
1 GB is worked on in pieces of what came meanwhile. While an answer is made, the same task waits for the news that
nobody waits any longer.

Nobody but that task touches the server's ``receive()``: cancelled at the wrong moment it loses the message, and says
afterwards that the client left. A reader may be cancelled at any time, when git has what it needs.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cairn.base.settings import KIB
from cairn.git.pktline import ConversationEnded, ProtocolError
from cairn.web.asgi import Receive
from cairn.web.security import BODY_BYTES_PER_SECOND_MIN, BodyTooSlow

WATCH_AFTER_SECONDS = 0.05
"""Answers ready sooner cost no watching."""

AHEAD_BYTES_MAX = 256 * KIB
"""So much is taken from the server before the reader asks for it, and one message more."""

_INFLATE_BYTES = 256 * KIB


class ClientGone(ConversationEnded):
    """The client closed the connection before it had its answer."""

    def __init__(self) -> None:
        super().__init__("the client left")


class RequestBody:
    """Reads a body in pieces. Only time spent waiting for the client counts against its deadline."""

    def __init__(self, receive: Receive, *, is_gzip: bool, grace_seconds: float) -> None:
        self._receive = receive
        self._inflater = zlib.decompressobj(wbits=31) if is_gzip else None
        self._packed = b""
        self._may_hold_more = False
        self._grace_seconds = grace_seconds
        self._waited_seconds = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._ahead: list[bytes] = []
        self._ahead_bytes = 0
        self._was_taken = asyncio.Event()
        self._news: asyncio.Future[None] | None = None
        self._is_whole = self._is_read = False
        self._is_gone = False
        self._watched: asyncio.Task[object] | None = None
        self.received_bytes = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the body itself: reading goes on where it stopped, also after a read that was cancelled."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece, inflated. Errors: BodyTooSlow, ClientGone, ProtocolError (bad gzip)."""
        while True:
            if self._inflater is not None and (piece := self._inflate()):
                await asyncio.sleep(0)  # a small body can inflate a thousandfold: others get their turn
                return piece
            if self._is_read:
                raise StopAsyncIteration
            data = await self._next()
            if self._inflater is not None:
                self._packed += data
            elif data:
                return data

    @asynccontextmanager
    async def while_present(self) -> AsyncIterator[None]:
        """Run the block, where the body may be read; when the client leaves, cancel it and raise ClientGone."""
        task = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._watch, task)
        try:
            yield
        except asyncio.CancelledError:
            if self._watched is not None and self._is_gone and task.uncancel() <= cancelling:
                raise ClientGone from None
            raise
        finally:
            timer.cancel()
            self._watched = None
            if self._asking is not None:
                self._asking.cancel()

    def _watch(self, task: "asyncio.Task[object]") -> None:
        """Cancel ``task`` as soon as the client has left."""
        self._watched = task
        if self._is_gone:
            task.cancel()
        else:
            self._ask()

    def _ask(self) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_server())
            self._asking.add_done_callback(self._tell)
        return self._asking

    async def _ask_server(self) -> None:
        """Keep what the client sends, to the body's end; watched, until the client leaves."""
        while self._watched is not None or not self._is_whole:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._is_gone = True
                if self._watched is not None:
                    self._watched.cancel()
                return
            if data := message.get("body", b""):
                self._ahead.append(data)
                self._ahead_bytes += len(data)
            self._is_whole = not message.get("more_body", False)
            self._tell()
            while self._ahead_bytes > AHEAD_BYTES_MAX and not self._is_whole:
                self._was_taken.clear()
                await self._was_taken.wait()

    def _tell(self, _: object = None) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _next(self) -> bytes:
        """Return everything that came since the last time; only the end of the body may be empty."""
        while not self._ahead and not self._is_whole:
            if self._is_gone:
                raise ClientGone
            await self._wait()
        self._is_read = self._is_whole
        data = self._ahead[0] if len(self._ahead) == 1 else b"".join(self._ahead)
        self._ahead.clear()
        self._ahead_bytes = 0
        self._was_taken.set()
        self.received_bytes += len(data)
        return data

    async def _wait(self) -> None:
        allowed = self._grace_seconds + self.received_bytes / BODY_BYTES_PER_SECOND_MIN
        started = time.monotonic()
        self._news = asyncio.get_running_loop().create_future()
        asking = self._ask()
        try:
            async with asyncio.timeout(max(allowed - self._waited_seconds, 0.001)):
                await self._news
            if asking.done():
                asking.result()
        except TimeoutError:
            raise BodyTooSlow(
                f"The request's body did not arrive within {self._grace_seconds:g} seconds plus one for each 16 KiB "
                "(CAIRN_BODY_DEADLINE_SECONDS)."
            ) from None
        finally:
            self._waited_seconds += time.monotonic() - started

    def _inflate(self) -> bytes:
        """Return the next inflated piece; empty if more of the body must arrive first, or nothing is left."""
        inflater = self._inflater
        assert inflater is not None
        if not self._packed and not self._may_hold_more:
            if self._is_read and not inflater.eof:
                raise ProtocolError("the gzip body ends too early")
            return b""
        try:
            piece = inflater.decompress(self._packed, _INFLATE_BYTES)
        except zlib.error as error:
            raise ProtocolError("the body is no gzip, though Content-Encoding says so") from error
        if inflater.unused_data:
            raise ProtocolError("the gzip body has more than one member")
        self._packed = inflater.unconsumed_tail
        self._may_hold_more = len(piece) == _INFLATE_BYTES
        return piece or (self._inflate() if self._is_read else b"")
