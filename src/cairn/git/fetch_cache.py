"""Answers to fetches, kept: small ones in memory, all on the node's disk, expensive ones in the object store.

The key never holds the ref version: what a request asks for by object id stays right however busy the repository is.
Identical requests in flight share one run. An answer that is only growing is read from its file while it grows, so a
slow reader neither holds git nor memory. How answers lie in the object store: ``git.shared_answers``.
"""

import asyncio
import hashlib
import os
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

from cairn.base.errors import CairnError, Unavailable
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.base.settings import KIB, MIB
from cairn.git.node_cache import NodeCache
from cairn.git.shared_answers import SharedAnswer
from cairn.storage.storage import Storage

IN_MEMORY_BYTES = 256 * KIB
"""Answers up to this size stay in memory, within ``_MEMORY_BYTES_MAX`` together."""

_MEMORY_BYTES_MAX = 32 * MIB
_READ_BYTES = 128 * KIB
_RECENT_BYTES_MAX = MIB
"""So much of the end of a growing answer stays in memory: who keeps up reads no file, however many they are."""

_TOLD_BYTES = 128 * KIB
_TOLD_SECONDS = 0.005
"""Readers of a growing answer are woken for so much more of it, or after so long: fifty of them, for each few kilobytes
that git happens to write, would cost more than the answer."""

_SHARES_AT_ONCE = 2
_SHARE_WAITS_SECONDS = 30
_log = get_logger(__name__)

Produce = Callable[[], AsyncGenerator[bytes, None]]


def answer_key(*parts: object) -> str:
    """Return the cache key of a normalised request: 64 hex digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


class Flight:
    """One answer in the making, read by everybody who asked for it meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._head = bytearray()
        self._file: int | None = None
        self._size = 0
        self._told_size = 0
        self._telling: asyncio.TimerHandle | None = None
        self._is_complete = False
        self._error: Exception | None = None
        self._news = asyncio.Event()
        self._untold: list[bytes] = []
        self._recent: deque[tuple[int, bytes]] = deque()
        self._recent_bytes = 0
        self._left = asyncio.Event()
        self.readers = 0
        self.task: asyncio.Task[None] | None = None

    @property
    def head(self) -> bytes:
        """The first bytes of the answer, at most IN_MEMORY_BYTES."""
        return bytes(self._head)

    @property
    def small_answer(self) -> bytes | None:
        """The whole answer if it stayed small enough for memory."""
        return bytes(self._head) if self._file is None else None

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def write(self, chunk: bytes) -> None:
        """Append to the answer; beyond IN_MEMORY_BYTES it moves to its file."""
        if self._file is None and len(self._head) + len(chunk) <= IN_MEMORY_BYTES:
            self._head += chunk
        else:
            self._spill()
            self._append(chunk)
            self._untold.append(chunk)
        self._size += len(chunk)
        if self._told_size == 0 or self._size - self._told_size >= _TOLD_BYTES:
            self._announce()
        elif self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TOLD_SECONDS, self._announce)

    def complete(self) -> None:
        """Say that nothing more comes."""
        self._is_complete = True
        self._announce()

    def fail(self, error: Exception) -> None:
        """Say that the answer will never be whole; readers raise ``error``."""
        self._error = error
        self._announce()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the answer from its start, as fast as it grows or as slow as the reader is."""
        position = 0
        while True:
            news = self._news
            if position < self._told_size:
                chunk = self._read(position)
                position += len(chunk)
                yield chunk
            elif self._error is not None:
                raise self._error
            elif self._is_complete:
                return
            else:
                await news.wait()

    def leave(self) -> None:
        """Take one reader off."""
        self.readers -= 1
        if self.readers == 0:
            self._left.set()

    async def wait_until_left(self, *, seconds: float) -> None:
        """Return when nobody reads any more, or after that time. For finished answers, which nobody joins."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self.readers:
                    self._left.clear()
                    await self._left.wait()

    def close(self) -> None:
        """Give the file back; the name may already be gone."""
        self._untold.clear()
        self._recent.clear()
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._size = self._told_size = 0

    def _spill(self) -> None:
        if self._file is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self._append(self._head)

    def _append(self, data: bytes | bytearray) -> None:
        assert self._file is not None
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _read(self, position: int) -> bytes:
        if self._file is None:
            return bytes(self._head[position:])
        for start, chunk in reversed(self._recent):
            if start <= position:
                # Whole for those who keep up: no copy, the same bytes for every reader.
                return chunk[position - start :]
        return os.pread(self._file, _READ_BYTES, position)

    def _keep_recent(self, piece: bytes) -> None:
        """Remember the piece that ends at the present size, and forget the oldest beyond the bound."""
        self._recent.append((self._size - len(piece), piece))
        self._recent_bytes += len(piece)
        while self._recent_bytes > _RECENT_BYTES_MAX:
            self._recent_bytes -= len(self._recent.popleft()[1])

    def _announce(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if self._untold:
            self._keep_recent(b"".join(self._untold))
            self._untold.clear()
        self._told_size = self._size
        news, self._news = self._news, asyncio.Event()
        news.set()


Answer = bytes | Path | Flight


class FetchCache:
    """The node's answers; ``group`` runs what outlives the request that started it."""

    def __init__(self, cache: NodeCache, storage: Storage, group: asyncio.TaskGroup) -> None:
        self._cache = cache
        self._storage = storage
        self._group = group
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._memory_bytes = 0
        self._flights: dict[str, Flight] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._sharing = asyncio.Semaphore(_SHARES_AT_ONCE)
        self.counts: Counter[str] = Counter()
        """Answers since the program started, by where they came from: ``memory``, ``disk``, ``flight`` (a run on
        its way), ``store``, or ``run`` (a git child of their own)."""

    def find(self, key: str) -> bytes | Path | None:
        """Return a complete answer that this node has: its bytes, or the file that holds them."""
        if (known := self._memory.get(key)) is not None:
            self._memory.move_to_end(key)
            self.counts["memory"] += 1
            return known
        path = self._path(key)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return None
        self.counts["disk"] += 1
        self._cache.touch(path)
        if size > IN_MEMORY_BYTES:
            return path
        with suppress(FileNotFoundError):
            return self._remember(key, path.read_bytes())
        return None

    @asynccontextmanager
    async def fly(
        self,
        key: str,
        produce: Produce,
        *,
        shared: SharedAnswer | None,
        is_final: Callable[[bytes], bool],
        outlives_readers: bool = False,
    ) -> AsyncIterator[Flight]:
        """Yield the answer in the making: somebody's run if one is on its way, else a new one of ``produce``.

        ``is_final`` judges by the first bytes whether the answer is worth keeping (a mere round of negotiation is not:
        the next push may change it). With ``shared`` the object store is asked first, and given the answer
        afterwards. When the last reader leaves an unfinished run, the run ends too, unless it ``outlives_readers``:
        what a page does not wait for is then there for the next.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = Flight(self._cache.root / "tmp" / random_id())
            self._flights[key] = flight
            flight.task = self._group.create_task(self._run(key, flight, produce, shared, is_final))
            self._running.add(flight.task)
            flight.task.add_done_callback(self._running.discard)
        else:
            self.counts["flight"] += 1
        flight.readers += 1
        try:
            yield flight
        finally:
            flight.leave()
            if flight.readers == 0:
                if self._flights.get(key) is flight:
                    # Gone from the table first: whoever asks now starts a run of their own.
                    if not outlives_readers:
                        del self._flights[key]
                        assert flight.task is not None
                        flight.task.cancel()
                else:
                    flight.close()

    def forget_all(self) -> None:
        """No answer that was complete is found any more, neither in memory nor on disk. Blocks."""
        self._memory, self._memory_bytes = OrderedDict(), 0
        for path in (self._cache.root / "fetch").iterdir():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """End every run: their readers are told that the program stops."""
        for task in self._running:
            task.cancel()

    async def _run(
        self,
        key: str,
        flight: Flight,
        produce: Produce,
        shared: SharedAnswer | None,
        is_final: Callable[[bytes], bool],
    ) -> None:
        """Fill the flight; this is the outermost frame of its task, so every failure becomes the readers'."""
        is_from_store = False
        try:
            is_from_store = shared is not None and await shared.copy(self._storage, flight.write)
            self.counts["store" if is_from_store else "run"] += 1
            if not is_from_store:
                async with aclosing(produce()) as chunks:
                    async for chunk in chunks:
                        flight.write(chunk)
            path = self._keep(key, flight) if is_final(flight.head) else None
            flight.complete()
        except CairnError as error:
            flight.fail(error)
            return
        except OSError as error:
            _log.warning("fetch_not_written", key=key, error=error.strerror)
            room = await self._cache.make_room(error)
            flight.fail(room if isinstance(room, CairnError) else _failed())
            return
        except asyncio.CancelledError:
            flight.fail(_failed())  # nobody listens, or the program stops
            raise
        except Exception:
            _log.exception("fetch_failed", key=key)
            flight.fail(_failed())
            return
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            with suppress(FileNotFoundError):
                flight.path.unlink()
            if flight.readers == 0:
                flight.close()
        if path is not None:
            await self._weigh_and_share(flight, None if is_from_store else shared, path)

    async def _weigh_and_share(self, flight: Flight, shared: SharedAnswer | None, path: Path) -> None:
        """Do what only later requests gain from; its failure must not end the program."""
        try:
            await self._cache.weigh(added_bytes=path.stat().st_size)
            if shared is not None:
                # The upload reads and sends what clients still wait for: they come first.
                await flight.wait_until_left(seconds=_SHARE_WAITS_SECONDS)
                async with self._sharing:
                    await shared.put(self._storage, path)
        except (CairnError, OSError) as error:
            _log.warning("fetch_not_shared", key=shared and shared.key, error=str(error))

    def _keep(self, key: str, flight: Flight) -> Path | None:
        """Give the finished answer its name on disk, and memory if it is small; None if the disk refused it."""
        path = self._path(key)
        small = flight.small_answer
        try:
            if small is not None:
                self._remember(key, small)
                flight.path.write_bytes(small)
            flight.path.rename(path)
        except OSError as error:
            _log.warning("fetch_not_kept", key=key, error=error.strerror)
            return None
        return path

    def _remember(self, key: str, answer: bytes) -> bytes:
        self._memory_bytes += len(answer) - len(self._memory.get(key, b""))
        self._memory[key] = answer
        self._memory.move_to_end(key)
        while self._memory_bytes > _MEMORY_BYTES_MAX:
            _, dropped = self._memory.popitem(last=False)
            self._memory_bytes -= len(dropped)
        return answer

    def _path(self, key: str) -> Path:
        return self._cache.root / "fetch" / key


def _failed() -> Unavailable:
    return Unavailable("The server failed to prepare this answer; try again.")
