"""Moves objects between two stores: several at once, no faster than allowed, each hashed while it passes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from cairn.git.together import together
from cairn.ops.backup.ledger import KeyLedger
from cairn.ops.backup.stored_keys import StoredKey
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

SETTLED_AT_ONCE = 100


class Pace:
    """Lets so many bytes a second pass, all transfers together; 0 is no bound."""

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0

    async def pass_on(self, size: int) -> None:
        """Return when ``size`` bytes may have passed."""
        if not self._bytes_per_second:
            return
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + size / self._bytes_per_second
        await asyncio.sleep(self._free_at - loop.time())


@dataclass(slots=True)
class Copied:
    """What was moved, and what was not there or not what the table says."""

    objects: int = 0
    size: int = 0
    damaged: list[StoredKey] = field(default_factory=list)


Tell = Callable[[Copied], None]
"""Hears of every object that was copied, for the terminal."""


@dataclass(frozen=True, slots=True)
class Route:
    """From one store to another; the prefixes are folders, empty or without a slash at the end."""

    source: Storage
    target: Storage
    source_prefix: str = ""
    target_prefix: str = ""


async def copy_absent(ledger: KeyLedger, route: Route, *, at_once: int, pace: Pace, tell: Tell) -> Copied:
    """Copy what the ledger wants and has not; what the source lacks or has damaged comes back in ``damaged``.

    At most ``at_once`` transfers run, each with bounded memory. Safe to repeat: what was copied is in the ledger's
    store and is found there the next time. Errors: the stores' Unavailable.
    """
    copied = Copied()
    queue: asyncio.Queue[StoredKey | None] = asyncio.Queue(maxsize=2 * at_once)
    settled: list[StoredKey] = []
    one_at_a_time = asyncio.Lock()

    async def work() -> None:
        while (item := await queue.get()) is not None:
            done = await _copy(item, route, pace)
            if done is None:
                copied.damaged.append(item)
                continue
            copied.objects, copied.size = copied.objects + 1, copied.size + (done.size or 0)
            settled.append(done)
            tell(copied)
            if len(settled) >= SETTLED_AT_ONCE:
                async with one_at_a_time:
                    await _settle(ledger, settled)

    async def feed() -> None:
        absent = ledger.absent()
        while True:
            async with one_at_a_time:
                page = await asyncio.to_thread(_page, absent)
            for item in page:
                await queue.put(item)
            if not page:
                break
        for _ in range(at_once):
            await queue.put(None)

    await together(feed(), *(work() for _ in range(at_once)))
    await _settle(ledger, settled)
    copied.damaged.sort(key=lambda item: item.key)
    return copied


def join(prefix: str, key: str) -> str:
    """Return a key below a folder."""
    return f"{prefix}/{key}" if prefix else key


async def _copy(item: StoredKey, route: Route, pace: Pace) -> StoredKey | None:
    """Return what was copied; None if the source has no such object, or one that its row does not describe."""
    digest = hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in route.source.stream(join(route.source_prefix, item.key)):
            digest.update(piece)
            await pace.pass_on(len(piece))
            yield piece

    target = join(route.target_prefix, item.key)
    try:
        size = await route.target.put_stream(target, pieces())
    except StorageNotFound:
        return None
    done = StoredKey(item.key, size, digest.hexdigest())
    is_right = item.size in {None, size} and item.sha256 in {None, done.sha256}
    if not is_right:
        await route.target.delete(target)
    return done if is_right else None


def _page(keys: Iterator[StoredKey]) -> list[StoredKey]:
    return list(islice(keys, SETTLED_AT_ONCE))


async def _settle(ledger: KeyLedger, settled: list[StoredKey]) -> None:
    batch = list(settled)
    settled.clear()
    await asyncio.to_thread(ledger.settle, batch)
