"""The two ends of one request's connection: what is left of its body is taken, then both are let go.

A server closes a connection whose request was answered before its body was read, and says so to nobody: a client that
sends its next request on it is cut off. An answer is often that early: whoever has no business here is told so first.
So the rest of a small body is taken after the answer, which waits for nothing; where too much is to come, the answer
says that the connection closes.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from cairn.base.settings import MIB
from cairn.web.asgi import Message, Receive, Scope, Send, header

REST_BYTES_MAX = MIB
"""What may be still to come of a body that nobody reads; more is not waited for."""

_TOO_SLOW = 408


class Ends:
    """``receive`` and ``send`` of one request; ``finish`` when it was answered, ``let_go`` whatever became of it.

    The server reads on for as long as anything refers to its own two functions. An error refers to them by its
    traceback and is often part of a cycle, which the collector finds at some time: until then, a client whose body
    drips would keep its connection after it was told that it is too slow.
    """

    __slots__ = ("_expects_rest", "_grace_seconds", "_is_rest_small", "_receive", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, grace_seconds: float) -> None:
        self._receive, self._send = receive, send
        self._grace_seconds = grace_seconds
        self._expects_rest, self._is_rest_small = _body_of(scope)

    async def receive(self) -> Message:
        """Return the server's next message."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._expects_rest = False
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Hand a message to the server; a refusal that comes before a body's end says what happens to the rest."""
        if message["type"] == "http.response.start" and self._expects_rest and message["status"] >= 400:
            self._is_rest_small &= message["status"] != _TOO_SLOW
            if not self._is_rest_small:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        return self._send(message)

    async def finish(self) -> None:
        """Take what is left of the body, within bounds, so that the connection can carry the next request."""
        if self._expects_rest and self._is_rest_small:
            await take_rest(self.receive, seconds=self._grace_seconds)

    def let_go(self) -> None:
        """Refer to the server's functions no longer."""
        self._receive, self._send = _left, _unheard


async def take_rest(receive: Receive, *, seconds: float) -> None:
    """Return when the rest of a body is here and gone, or has more than REST_BYTES_MAX, or the time is over."""
    taken = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while taken <= REST_BYTES_MAX:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                taken += len(message["body"])


def _body_of(scope: Scope) -> tuple[bool, bool]:
    """Return whether the connection is kept only if a body was read, and whether that body is small enough to be."""
    if scope["type"] != "http" or scope["http_version"] == "2":  # there, a stream ends and the connection stays
        return False, False
    length = header(scope, b"content-length")
    if not length.isdigit():
        return bool(header(scope, b"transfer-encoding")), False
    # Whoever asks first whether to send it need not send it when refused.
    return int(length) > 0, int(length) <= REST_BYTES_MAX and not header(scope, b"expect")


async def _left() -> Message:
    return {"type": "http.disconnect"}


async def _unheard(message: Message) -> None:
    """Drop what nobody hears any more."""
