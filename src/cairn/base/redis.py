"""The one way to a Redis server."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis


def open_redis(url: str, *, connect_seconds: float) -> "Redis":
    """Return a client that connects at its first command, within ``connect_seconds``.

    Callers put ``asyncio.timeout`` around what they ask. The client's own ``socket_timeout`` stays off: it sends
    through ``asyncio.wait_for``, which on Python 3.11 loses a cancellation that arrives as the bytes leave, and a task
    that lost its cancellation keeps its program from ever stopping.
    """
    from redis.asyncio import Redis  # six megabytes that an installation without Redis does without

    return Redis.from_url(url, socket_connect_timeout=connect_seconds, socket_timeout=None)
