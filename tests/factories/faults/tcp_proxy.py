"""A TCP proxy that breaks connections where a test says: in front of a database, unaware of its protocol."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from types import TracebackType
from typing import Self

from tests.factories.faults.in_thread import in_thread

CHUNK_BYTES = 1 << 16


class Cut(Enum):
    """What to do with the client's next bytes that hold the trigger."""

    BEFORE = "before"
    """They never arrive."""
    AFTER = "after"
    """They arrive and are answered; the answer never does."""
    BLIND = "blind"
    """They arrive; the connection ends at once, whatever the server makes of it."""


class TcpProxy:
    """Forwards 127.0.0.1:``port`` to a target. ``plans`` are used up one by one, when ``trigger`` is said."""

    def __init__(self, target_port: int, *, trigger: bytes = b"COMMIT") -> None:
        self._target_port = target_port
        self._trigger = trigger
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.plans: list[Cut] = []
        self.cuts = 0
        self._connections = 0
        self.is_black_hole = False
        """True: what clients send from now on is swallowed, and new connections are never answered."""
        self.delay_seconds = 0.0
        """How long each piece that clients send is held back."""

    @property
    def port(self) -> int:
        """Where clients connect."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return self._connections

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.reset_all()

    def reset_all(self) -> None:
        """End every connection with a reset."""
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._connections += 1
        server_writer: asyncio.StreamWriter | None = None
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            self._writers.add(server_writer)
            is_deaf = asyncio.Event()
            forward = asyncio.create_task(self._forward(reader, server_writer, is_deaf))
            back = asyncio.create_task(_pump(server_reader, writer, lambda: is_deaf.is_set() or self.is_black_hole))
            try:
                await asyncio.wait({forward, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                forward.cancel()
                back.cancel()
        except OSError:
            pass
        finally:
            self._connections -= 1
            for side in (writer, server_writer):
                if side is not None:
                    _reset(side)
                    self._writers.discard(side)

    async def _forward(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, is_deaf: asyncio.Event
    ) -> None:
        """Pump the client's bytes; returning ends the connection."""
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.is_black_hole:
                    continue
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                plan = self.plans.pop(0) if self.plans and self._trigger in data else None
                if plan is not None:
                    self.cuts += 1
                if plan is Cut.BEFORE:
                    return
                if plan is not None:
                    is_deaf.set()
                server.write(data)
                await server.drain()
                if plan is Cut.AFTER:
                    await asyncio.sleep(0.05)  # the answer is on its way and is dropped
                if plan is not None:
                    return


@contextmanager
def proxy_in_thread(target_port: int) -> Iterator[TcpProxy]:
    """Run a proxy beside a test without a loop of its own; its switches may be set from there."""
    proxy = TcpProxy(target_port)
    with in_thread(proxy):
        yield proxy


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_dropped: Callable[[], bool]) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            if not is_dropped():
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    opened = writer.get_extra_info("socket")
    if opened is not None:
        with suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
