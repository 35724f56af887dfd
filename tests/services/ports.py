"""Free ports and bounded waiting: what every test server and every test with a process needs."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.02


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now; somebody may take it before the caller does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    """Return whether something on 127.0.0.1 accepts TCP connections at this port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], *, within_seconds: float, what: str) -> None:
    """Return as soon as ``condition()`` is true; TimeoutError naming ``what`` after ``within_seconds``."""
    end = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within_seconds} s: {what}")
        time.sleep(POLL_SECONDS)


async def eventually(condition: Callable[[], Awaitable[bool]], *, within_seconds: float, what: str) -> None:
    """Return as soon as ``await condition()`` is true; TimeoutError naming ``what`` after ``within_seconds``."""
    end = time.monotonic() + within_seconds
    while not await condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within_seconds} s: {what}")
        await asyncio.sleep(POLL_SECONDS)
