"""An HTTP proxy in front of an S3 server that lies, fails, dawdles or is away, as a test says."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from random import Random
from types import TracebackType
from typing import Self

HEAD_BYTES_MAX = 1 << 16
SLICES_PER_SECOND = 10
_ERROR = b"<?xml version='1.0'?><Error><Code>%b</Code><Message>told to fail</Message></Error>"


class Fault(Enum):
    """One lie."""

    CUT_BODY = "cut_body"
    """The answer's headers are whole, half of its body comes, the connection ends."""
    WRONG_BYTES = "wrong_bytes"
    """A byte in the middle of the answer's body is another one."""
    WRONG_RANGE = "wrong_range"
    """The body is moved by one byte, its length as promised."""
    NOT_FOUND = "not_found"
    """404 for what is there."""
    ERROR = "error"
    """500, and nothing reaches the server."""
    BUSY = "busy"
    """503, and nothing reaches the server."""
    LOST_REPLY = "lost_reply"
    """The request is carried out, the connection ends without an answer."""
    LOST_PUT = "lost_put"
    """200, and nothing reaches the server."""


@dataclass(frozen=True)
class Plan:
    """Tell ``fault`` to the next request with this method whose path holds ``part``."""

    method: str
    part: str
    fault: Fault


@dataclass
class Weather:
    """What every request meets. A test may change it at any time, from its own thread too."""

    failing: float = 0.0
    """The share of requests that are answered 500 or 503, by ``dice``, and never reach the server."""
    dice: Random | None = None
    first_byte_seconds: float = 0.0
    """How long every answer is held back."""
    bytes_per_second: int = 0
    """How fast the body of each request and each answer flows; 0: as it can."""


class S3Proxy:
    """Forwards 127.0.0.1:``port`` to an S3 server, one connection a request; ``plans`` are used up."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.weather = Weather()
        self.plans: list[Plan] = []
        self.told: list[Plan] = []
        self.requests: Counter[str] = Counter()
        """Requests so far by method."""
        self.moved_bytes = 0
        """Bytes of all bodies so far, both ways."""
        self.failed = 0
        """Requests that the weather answered."""
        self.under_way = 0
        """Requests that came and are not answered in full."""
        self.under_way_max = 0

    @property
    def endpoint(self) -> str:
        """The address for ``CAIRN_STORAGE_URL``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Accept connections, at the same address as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=HEAD_BYTES_MAX)
        self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """End every connection and refuse new ones until ``listen``."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False ends the connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if b"100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.under_way += 1
        self.under_way_max = max(self.under_way, self.under_way_max)
        try:
            return await self._answer(head, method, path, reader, writer)
        finally:
            self.under_way -= 1

    async def _answer(
        self, head: bytes, method: str, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        body = await _read_body(reader, head)
        self.requests[method] += 1
        self.moved_bytes += len(body)
        await asyncio.sleep(self.weather.first_byte_seconds + self._flow_seconds(len(body)))
        fault = self._fault(method, path)
        if fault in {Fault.NOT_FOUND, Fault.ERROR, Fault.BUSY, Fault.LOST_PUT}:
            writer.write(_made_up(fault, is_head=method == "HEAD"))
            await writer.drain()
            return True
        upstream, up = await asyncio.open_connection("127.0.0.1", self._target_port, limit=HEAD_BYTES_MAX)
        try:
            up.write(head + body)
            await up.drain()
            answer_head = await upstream.readuntil(b"\r\n\r\n")
            while answer_head.startswith(b"HTTP/1.1 100"):
                answer_head = await upstream.readuntil(b"\r\n\r\n")
            has_body = method != "HEAD" and answer_head.split(b" ")[1] not in {b"204", b"304"}
            if fault is None and has_body and "transfer-encoding" not in _headers(answer_head):
                return await self._pass_on(answer_head, upstream, writer)
            answer = await _read_body(upstream, answer_head) if has_body else b""
        finally:
            up.transport.abort()
        self.moved_bytes += len(answer)
        return await self._lie(fault, answer_head, answer, writer)

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send an answer on as it comes, however large."""
        writer.write(head)
        left = int(_headers(head).get("content-length", "0"))
        while left:
            data = await reader.read(min(left, HEAD_BYTES_MAX))
            if not data:
                return False
            left -= len(data)
            self.moved_bytes += len(data)
            await self._flow(writer, data)
        await writer.drain()
        return True

    async def _lie(self, fault: Fault | None, head: bytes, answer: bytes, writer: asyncio.StreamWriter) -> bool:
        if fault is Fault.LOST_REPLY:
            return False
        if answer and fault is Fault.WRONG_BYTES:
            middle = len(answer) // 2
            answer = answer[:middle] + bytes([answer[middle] ^ 0xFF]) + answer[middle + 1 :]
        if answer and fault is Fault.WRONG_RANGE:
            answer = answer[1:] + answer[:1]
        is_cut = bool(answer) and fault is Fault.CUT_BODY
        if "transfer-encoding" in _headers(head):
            lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"transfer-e")]
            head = b"\r\n".join([*lines, b"content-length: %d" % len(answer)]) + b"\r\n\r\n"
        writer.write(head)
        await self._flow(writer, answer[: len(answer) // 2] if is_cut else answer)
        if is_cut:
            writer.close()  # politely: what was written arrives first
            with suppress(OSError):
                await writer.wait_closed()
        return not is_cut

    def _fault(self, method: str, path: str) -> Fault | None:
        for plan in self.plans:
            if plan.method == method and plan.part in path:
                self.plans.remove(plan)
                self.told.append(plan)
                return plan.fault
        dice = self.weather.dice
        if dice is not None and dice.random() < self.weather.failing:
            self.failed += 1
            return dice.choice([Fault.ERROR, Fault.BUSY])
        return None

    def _flow_seconds(self, size: int) -> float:
        return size / self.weather.bytes_per_second if self.weather.bytes_per_second else 0.0

    async def _flow(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send a body, no faster than the weather allows."""
        while data:
            step = self.weather.bytes_per_second // SLICES_PER_SECOND or len(data)
            writer.write(data[:step])
            await writer.drain()
            await asyncio.sleep(self._flow_seconds(len(data[:step])))
            data = data[step:]


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    headers = _headers(head)
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return body
    return await reader.readexactly(int(headers.get("content-length", "0")))


def _made_up(fault: Fault, *, is_head: bool) -> bytes:
    status, code = {
        Fault.NOT_FOUND: (b"404 Not Found", b"NoSuchKey"),
        Fault.ERROR: (b"500 Internal Server Error", b"InternalError"),
        Fault.BUSY: (b"503 Slow Down", b"SlowDown"),
        Fault.LOST_PUT: (b"200 OK", b""),
    }[fault]
    body = b"" if is_head or not code else _ERROR % code
    etag = b'etag: "d41d8cd98f00b204e9800998ecf8427e"\r\n' if fault is Fault.LOST_PUT else b""
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\ncontent-type: application/xml\r\n\r\n" % (
        status, etag, len(body),
    ) + body  # fmt: skip
