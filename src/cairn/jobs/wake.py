"""Wake-ups: who waits for work hears at once that there is some. Losing one costs a second, never work.

Within a process a commit wakes directly. Between processes Redis carries the topic where it is configured; on SQLite a
look at ``PRAGMA data_version``, which costs no I/O, tells that somebody committed. Else everybody asks once a second.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cairn.base.log import get_logger
from cairn.base.redis import open_redis
from cairn.db.database import Database, DatabaseAway

if TYPE_CHECKING:
    from redis.asyncio import Redis

POLL_SECONDS = 1.0
_CHANNEL = "cairn:wake"
_LOOK_SECONDS = 0.2
_REDIS_SECONDS = 2.0
_REDIS_LISTEN_SECONDS = 10.0
_RETRY_SECONDS_MAX = 15.0

_log = get_logger(__name__)


class Wakeups:
    """The wake-ups of one process; ``run`` carries them to and from the others."""

    def __init__(self, database: Database, *, redis_url: str = "") -> None:
        self._database = database
        self._redis_url = redis_url
        self._events: dict[str, set[asyncio.Event]] = {}
        self._unsent: set[str] = set()
        self._has_unsent = asyncio.Event()
        database.listen(self._committed)

    @contextmanager
    def listening(self, topic: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever ``topic`` may have news; the listener clears it."""
        woken = asyncio.Event()
        self._events.setdefault(topic, set()).add(woken)
        try:
            yield woken
        finally:
            self._events[topic].discard(woken)

    async def run(self) -> None:
        """Exchange wake-ups with other processes until cancelled; without Redis and SQLite there is nothing to do."""
        async with asyncio.TaskGroup() as tasks:
            if self._database.dialect == "sqlite":
                tasks.create_task(self._watch_file())
            if self._redis_url:
                tasks.create_task(self._speak_redis())

    def _committed(self, topic: str) -> None:
        self._wake(topic)
        if self._redis_url:
            self._unsent.add(topic)
            self._has_unsent.set()

    def _wake(self, topic: str) -> None:
        for woken in self._events.get(topic, ()):
            woken.set()

    def _wake_all(self) -> None:
        for topic in self._events:
            self._wake(topic)

    async def _watch_file(self) -> None:
        seen = None
        while True:
            with suppress(DatabaseAway):
                version = self._database.data_version()
                if version != seen:
                    seen = version
                    self._wake_all()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _speak_redis(self) -> None:
        from redis import RedisError

        pause = 0.5
        while True:
            client = open_redis(self._redis_url, connect_seconds=_REDIS_SECONDS)
            try:
                await _ping(client)
                pause = 0.5
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._hear(client))
                    tasks.create_task(self._say(client))
            except* (RedisError, OSError) as errors:
                _log.warning("redis_away", reason=str(errors.exceptions[0]), retry_in_seconds=pause)
            finally:
                with suppress(RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_SECONDS_MAX)

    async def _hear(self, client: "Redis") -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as channel:
            async with asyncio.timeout(_REDIS_SECONDS):
                await channel.subscribe(_CHANNEL)
            self._wake_all()  # what was said while nobody listened
            while True:
                message = await channel.get_message(timeout=_REDIS_LISTEN_SECONDS)
                if message is not None:
                    self._wake(message["data"].decode("utf-8", "replace"))
                else:
                    await _ping(client)  # a silent connection may be a dead one

    async def _say(self, client: "Redis") -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            topics, self._unsent = self._unsent, set()
            for topic in topics:
                async with asyncio.timeout(_REDIS_SECONDS):
                    await client.publish(_CHANNEL, topic)


async def _ping(client: "Redis") -> None:
    async with asyncio.timeout(_REDIS_SECONDS):
        await client.ping()
