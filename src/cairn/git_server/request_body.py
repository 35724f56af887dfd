"""The body of one HTTP request: bounded in time and inflated size, and the place where a client's departure shows.

A server never tells by ``send()`` that the client left; only ``receive()`` does. So while an answer is made, one more
message is read ahead: it is either more body, kept for the reader, or the news that nobody waits any longer.

A reader is cancelled when git has what it needs before the body's end is read; the server's ``receive()`` must not be:
cancelled at the wrong moment it loses the message, and says afterwards that the client left.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cairn.base.settings import KIB
from cairn.git.pktline import ConversationEnded, ProtocolError
from cairn.web.asgi import Message, Receive
from cairn.web.security import BODY_BYTES_PER_SECOND_MIN, BodyTooSlow

WATCH_AFTER_SECONDS = 0.05
"""Answers ready sooner cost no watching."""

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
        self._turn = asyncio.Lock()
        self._asked: asyncio.Future[Message] | None = None
        self._ahead: Message | None = None
        self._taken = asyncio.Event()
        self._is_complete = False
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
            if self._is_complete:
                raise StopAsyncIteration
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientGone
            data: bytes = message.get("body", b"")
            self.received_bytes += len(data)
            self._is_complete = not message.get("more_body", False)
            if self._inflater is not None:
                self._packed += data
            elif data:
                return data

    @asynccontextmanager
    async def while_present(self) -> AsyncIterator[None]:
        """Run the block; when the client leaves meanwhile, cancel it and raise ClientGone."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        cancelling = task.cancelling()
        watcher: asyncio.Task[None] | None = None
        is_gone = False

        async def watch() -> None:
            nonlocal is_gone
            await self._departed()
            is_gone = True
            task.cancel()

        def start() -> None:
            nonlocal watcher
            watcher = loop.create_task(watch())

        timer = loop.call_later(WATCH_AFTER_SECONDS, start)
        try:
            yield
        except asyncio.CancelledError:
            if is_gone and task.uncancel() <= cancelling:
                raise ClientGone from None
            raise
        finally:
            timer.cancel()
            if watcher is not None and not watcher.done():
                watcher.cancel()
                await asyncio.wait({watcher})
            if self._asked is not None:
                self._asked.cancel()

    async def _departed(self) -> None:
        """Return when the client has left. At most one message of body is held for the reader meanwhile."""
        is_last_ahead = False
        while True:
            async with self._turn:
                if self._ahead is None or is_last_ahead:
                    message = await self._ask()
                    if message["type"] == "http.disconnect":
                        self._ahead = self._ahead or message
                        return
                    if self._is_complete or is_last_ahead:
                        continue
                    is_last_ahead = not message.get("more_body", False)  # perhaps nobody wants it any more
                    self._taken.clear()
                    self._ahead = message
            if not is_last_ahead:
                await self._taken.wait()

    async def _ask(self) -> Message:
        """Return the server's next message; cancelled, the question stays open and the next caller gets the answer."""
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._receive())
        asked = self._asked
        await asyncio.wait({asked})
        self._asked = None
        return asked.result()

    def _take(self) -> Message | None:
        message, self._ahead = self._ahead, None
        if message is not None:
            self._taken.set()
        return message

    async def _next(self) -> Message:
        allowed = self._grace_seconds + self.received_bytes / BODY_BYTES_PER_SECOND_MIN
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(allowed - self._waited_seconds, 0.001)):
                if (message := self._take()) is not None:  # also while the watcher waits for what follows
                    return message
                async with self._turn:
                    return self._take() or await self._ask()
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
            if self._is_complete and not inflater.eof:
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
        return piece or (self._inflate() if self._is_complete else b"")
