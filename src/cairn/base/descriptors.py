"""Waiting for file descriptors: pipes and sockets that are read and written without a buffer of ours in between."""

import asyncio
import errno
import os
import socket
from contextlib import suppress

_PIPE_BYTES = 256 << 10
_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_FULL_SECONDS = 0.2


async def readable(descriptor: int) -> None:
    """Return when ``descriptor`` has something to read, or has ended."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    """Return when ``descriptor`` takes something, or has lost its reader."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


async def accept(listener: socket.socket) -> socket.socket:
    """Return the next connection to a listener that does not block; nor does the connection.

    While the system has no descriptor for it, the connection waits with its peer. Errors: OSError of the listener.
    """
    while True:
        await readable(listener.fileno())
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            continue
        except OSError as error:
            if error.errno not in _FULL:
                raise
            await asyncio.sleep(_FULL_SECONDS)
            continue
        connection.setblocking(False)
        return connection


class Pipe:
    """One descriptor as a session's stream: reads on demand, writes when it is drained. Closing it is its owner's."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._unsent = bytearray()

    async def read(self, n: int = _PIPE_BYTES, /) -> bytes:
        """Return the next bytes, at most ``n``; empty at the end."""
        while True:
            try:
                return os.read(self._descriptor, n)
            except BlockingIOError:
                await readable(self._descriptor)

    def write(self, data: bytes, /) -> None:
        """Take ``data`` and pass on what fits. Errors: BrokenPipeError if nobody reads."""
        self._unsent += data
        self._send()

    async def drain(self) -> None:
        """Return when everything is passed on. Errors: BrokenPipeError if nobody reads."""
        while self._unsent:
            await writable(self._descriptor)
            self._send()

    def _send(self) -> None:
        with suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: os.write(self._descriptor, memoryview(self._unsent)[:_PIPE_BYTES].tobytes())]


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
