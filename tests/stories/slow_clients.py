"""Clients that hold on: heads and bodies that drip, answers nobody takes, connections that say nothing."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from cairn.git.pktline import encode

DRIP_SECONDS = 0.3
_TCP_ESTABLISHED = 1

Client = Callable[[socket.socket], Awaitable[None]]
"""Behaves badly on a connection until the server has ended it."""


async def all_ended(client: Client, port: int, count: int) -> Sequence[float]:
    """Run many of one kind and return after how many seconds the server had ended each."""
    return await asyncio.gather(*(_ended_after(client, port) for _ in range(count)))


async def _ended_after(client: Client, port: int) -> float:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.setblocking(False)
        started = time.monotonic()
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
            await client(connection)
        return time.monotonic() - started


def _is_open(connection: socket.socket) -> bool:
    """Tell whether the server still holds the other end."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_ESTABLISHED


async def silent(connection: socket.socket) -> None:
    """Say nothing."""
    while _is_open(connection):
        await asyncio.sleep(DRIP_SECONDS)


async def dripping_head(connection: socket.socket) -> None:
    """Never finish the first line."""
    await _drip(connection, b"GET /", b"a")


async def dripping_body(connection: socket.socket) -> None:
    """Never finish a form."""
    kind = b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 5000\r\n\r\n"
    await _drip(connection, b"POST /login HTTP/1.1\r\nhost: x\r\n" + kind, b"a")


async def ssh_stall(connection: socket.socket) -> None:
    """Begin the SSH handshake and stop."""
    await _drip(connection, b"SSH-2.0-Stall\r\n", b"")


async def _drip(connection: socket.socket, begin: bytes, more: bytes) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, begin)
    while _is_open(connection):
        await loop.sock_sendall(connection, more)
        await asyncio.sleep(DRIP_SECONDS)


def slow_clone(path: str, head: str) -> Client:
    """Return a client that asks for a whole repository and takes a byte each third of a second."""
    asked = encode(b"command=fetch\n") + b"0001" + encode(b"want %b\n" % head.encode()) + encode(b"done\n") + b"0000"

    async def client(connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        request = (
            f"POST /{path}.git/git-upload-pack HTTP/1.1\r\nhost: x\r\ngit-protocol: version=2\r\n"
            f"content-type: application/x-git-upload-pack-request\r\ncontent-length: {len(asked)}\r\n\r\n"
        )
        await loop.sock_sendall(connection, request.encode() + asked)
        while _is_open(connection):
            await loop.sock_recv(connection, 1)
            await asyncio.sleep(DRIP_SECONDS)

    return client
