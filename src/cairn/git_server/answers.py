"""Answers of git's HTTP door: whole, from a file, or while they grow; errors as text that git shows to its user."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from cairn.base.errors import (
    CairnError,
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from cairn.base.log import get_logger
from cairn.base.settings import MIB
from cairn.git.fetch_cache import Answer, Flight
from cairn.git.pktline import encode
from cairn.git.upload_pack import error_in_side_band, error_packet
from cairn.web.asgi import Scope, Send
from cairn.web.security import BodyTooSlow

Headers = list[tuple[bytes, bytes]]
_log = get_logger(__name__)

NO_CACHE: Headers = [
    (b"expires", b"Fri, 01 Jan 1980 00:00:00 GMT"),
    (b"pragma", b"no-cache"),
    (b"cache-control", b"no-cache, max-age=0, must-revalidate"),
]
"""What ``git http-backend`` sends with everything that changes."""

_CHALLENGE = (b"www-authenticate", b'Basic realm="Cairn"')
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_PACKFILE = encode(b"packfile\n")
_STATUSES: tuple[tuple[type[CairnError], int], ...] = (
    (NotFound, 404),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (Conflict, 409),
    (Invalid, 422),
    (BodyTooSlow, 408),
    (Malformed, 400),
    (TooLarge, 413),
    (RateLimited, 429),
    (Unavailable, 503),
)


class Reply:
    """The answer to one request: started once, then only continued."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._can_send_files = "http.response.pathsend" in (scope.get("extensions") or {})
        self.is_started = False
        self.sent_bytes = 0

    async def whole(
        self, body: bytes, content_type: bytes, *, status: int = 200, headers: Headers | None = None
    ) -> None:
        """Send a complete answer."""
        await self._start(status, [(b"content-type", content_type), _length(len(body)), *NO_CACHE, *(headers or [])])
        self.sent_bytes += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def answer(self, answer: Answer, content_type: bytes) -> None:
        """Send what the engine gave: bytes, a file, or a run while it grows."""
        if isinstance(answer, bytes):
            await self.whole(answer, content_type)
        elif isinstance(answer, Flight):
            await self._flight(answer, content_type)
        else:
            await self._file(answer, content_type)

    async def chunks(
        self,
        chunks: AsyncIterator[bytes],
        content_type: bytes,
        *,
        status: int = 200,
        headers: Headers = NO_CACHE,
    ) -> None:
        """Send pieces as they come; the answer starts with the first, so that a failure before it can still say so."""
        async for chunk in chunks:
            if not self.is_started:
                await self._start(status, [(b"content-type", content_type), *headers])
            self.sent_bytes += len(chunk)
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not self.is_started:
            await self.whole(b"", content_type)
        else:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: CairnError) -> None:
        """Answer with the error's status and its sentence as plain text, which git shows as ``remote:`` lines."""
        status = status_of(error)
        if status == 500:
            _log.error("git_failed", error=error.message, exc_info=error)
        headers: Headers = []
        if status == 401:
            headers.append(_CHALLENGE)
        if isinstance(error, RateLimited | Unavailable):
            headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
        await self.text(status, error.message, headers)

    async def text(self, status: int, message: str, headers: Headers | None = None) -> None:
        """Answer with one sentence of plain text."""
        body = message.encode("utf-8") + b"\n"
        await self._start(status, [_TEXT, _length(len(body)), *NO_CACHE, *(headers or [])])
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def part(self) -> None:
        """Answer one who left, unless an answer has begun: of a request without any the server itself makes a 500."""
        _log.info("git_client_gone")
        if not self.is_started:
            await self.text(408, "The connection ended before the request did.")

    async def explain(self, message: str, content_type: bytes, *, in_side_band: bool) -> None:
        """Say inside git's protocol what went wrong: git hides the bodies of failed requests that carry packs.

        ``in_side_band``: the client reads channels from the start, as it does after a push.
        """
        in_side_band = in_side_band or self.is_started  # after the beginning of a pack only channels are heard
        packet = error_in_side_band(message) if in_side_band else error_packet(message)
        if self.is_started:
            await self._send({"type": "http.response.body", "body": packet, "more_body": False})
        else:
            await self.whole(packet, content_type)

    async def _flight(self, flight: Flight, content_type: bytes) -> None:
        try:
            await self.chunks(flight.chunks(), content_type)
        except CairnError as error:
            if not self.is_started or _PACKFILE in flight.head:
                raise
            # Still in the negotiation: an ERR packet is what the client listens for.
            await self._send({"type": "http.response.body", "body": error_packet(error.message), "more_body": False})

    async def _file(self, path: Path, content_type: bytes) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            await self._start(200, [(b"content-type", content_type), _length(size), *NO_CACHE])
            self.sent_bytes += size
            if self._can_send_files:
                await self._send({"type": "http.response.pathsend", "path": str(path)})
                return
            position = 0
            while chunk := await asyncio.to_thread(os.pread, descriptor, MIB, position):
                position += len(chunk)
                await self._send({"type": "http.response.body", "body": chunk, "more_body": position < size})
        finally:
            os.close(descriptor)

    async def _start(self, status: int, headers: Headers) -> None:
        self.is_started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


def status_of(error: CairnError) -> int:
    """Return the HTTP status of an error by its family; 500 for one that explains nothing to a client."""
    return next((status for family, status in _STATUSES if isinstance(error, family)), 500)


def _length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size
