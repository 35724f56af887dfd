"""The node's folder of packs and views: a cache that may be deleted at any moment, shared by the node's programs.

Layout below its root: ``packs/ID/`` (``pack-ID.pack``, ``pack-ID.idx``), ``views/STORE-VERSION/`` (a bare directory of
hard links), ``fetch/KEY`` (cached answers), ``locks/`` (one file a view), ``quarantine/``, ``tmp/``. A shared lock on
its lock file keeps a view; whoever makes or removes one holds the exclusive lock. A view's age is its lock file's
mtime: never a pack's, because hard links share the inode and git touches it.
"""

import asyncio
import errno
import fcntl
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cairn.base.errors import Unavailable
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

GRACE_SECONDS = 120
"""Nothing used this recently is evicted: a server may still be about to open a file it was told to send."""

TEMPORARY_SECONDS = 86_400
"""Longer than any transfer: what is older in ``tmp`` belongs to a process that died."""

_PARALLEL_DOWNLOADS = 4
_TOUCH_SECONDS = 30
_EVICT_TO = 0.8
_VIEW_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogallrefupdates = false\n"
_log = get_logger(__name__)


class PackDamaged(Unavailable):
    """A pack that the manifest names is absent or altered in the object store: an incident, never a shorter history."""

    def __init__(self, key: str) -> None:
        super().__init__("This repository's data is damaged or incomplete in the object store; the operator was told.")
        self.key = key


class DiskFull(Unavailable):
    """The node's cache disk has no room, even after eviction."""

    def __init__(self) -> None:
        super().__init__("This node's cache disk is full; try again in a moment.")


@dataclass(frozen=True, slots=True)
class PackRow:
    """What hydration needs to know of a pack."""

    id: str
    key: str
    pack_bytes: int
    index_bytes: int
    pack_sha256: str
    index_sha256: str


@dataclass(frozen=True, slots=True)
class View:
    """A private bare directory holding exactly the packs of one manifest version; never written to."""

    path: Path
    store_id: int
    manifest_version: int

    @property
    def pack_bytes(self) -> int:
        """Bytes of all its packs and indexes."""
        return sum(entry.stat().st_size for entry in os.scandir(self.path / "objects" / "pack"))

    @property
    def objects(self) -> Path:
        """Its object directory: what quarantines name as alternate."""
        return self.path / "objects"


class NodeCache:
    """Keeps packs and views on the node's disk within ``max_bytes``."""

    def __init__(self, root: Path, storage: Storage, *, max_bytes: int) -> None:
        self.root = root.absolute()
        self._storage = storage
        self._max_bytes = max_bytes
        self._downloads = asyncio.Semaphore(_PARALLEL_DOWNLOADS)
        self._making: dict[tuple[int, int], asyncio.Lock] = {}
        self._unweighed_bytes = 0
        self._touched: dict[Path, float] = {}
        self.hits = 0
        self.misses = 0
        for name in ("packs", "views", "locks", "quarantine", "tmp", "fetch"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    @property
    def quarantines(self) -> Path:
        """Where quarantines live: on the cache's file system, so that packs can be linked instead of copied."""
        return self.root / "quarantine"

    @asynccontextmanager
    async def view(self, store_id: int, manifest_version: int, packs: Sequence[PackRow] | None) -> AsyncIterator[View]:
        """Yield the view of a manifest version, kept until the block ends.

        ``packs`` None means "only if it is on this node": raises ViewMissing otherwise. Errors: PackDamaged, DiskFull.
        """
        name = f"{store_id}-{manifest_version}"
        path = self.root / "views" / name
        lock = self._take_shared(name, path)
        if lock is None:
            if packs is None:
                raise ViewMissing(name)
            self.misses += 1
            lock = await self._make(store_id, manifest_version, packs)
        else:
            self.hits += 1
        try:
            yield View(path, store_id, manifest_version)
        finally:
            os.close(lock)

    def adopt(self, pack_id: str, path_pack: Path, path_idx: Path) -> None:
        """Link a pack that was just uploaded from here into the cache; a full disk only loses the shortcut."""
        folder = self.root / "packs" / pack_id
        with suppress(OSError):
            temporary = self.root / "tmp" / random_id()
            temporary.mkdir()
            os.link(path_idx, temporary / f"pack-{pack_id}.idx")
            os.link(path_pack, temporary / f"pack-{pack_id}.pack")
            temporary.rename(folder)
            self._unweighed_bytes += path_pack.stat().st_size + path_idx.stat().st_size

    async def weigh(self, *, added_bytes: int = 0) -> None:
        """Note what was added; evict the least recently used when the cache may be beyond its bound."""
        self._unweighed_bytes += added_bytes
        if self._unweighed_bytes * 20 >= self._max_bytes:
            self._unweighed_bytes = 0
            await asyncio.to_thread(self.evict, self._max_bytes)

    def evict(self, max_bytes: int) -> int:
        """Remove least recently used views, packs and answers until at most 80 % of ``max_bytes`` is used.

        Returns the bytes in use afterwards. Blocks: call it in a thread. One program of the node does it at a time.
        """
        with self._exclusive("evict") as is_mine:
            if not is_mine:
                return 0
            used = self._used_bytes()
            if used <= max_bytes:
                return used
            for entry in self._by_age():
                if used <= max_bytes * _EVICT_TO:
                    break
                used -= self._remove(entry)
            _log.info("cache_evicted", used_bytes=used, max_bytes=max_bytes)
            return used

    def sweep(self) -> None:
        """Delete temporary files that no request can still be writing, then evict. Blocks: call it in a thread."""
        horizon = time.time() - TEMPORARY_SECONDS
        for entry in (self.root / "tmp").iterdir():
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < horizon:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self.evict(self._max_bytes)

    def touch(self, path: Path) -> None:
        """Remember that something was used now; written to disk at most every 30 seconds."""
        now = time.monotonic()
        if now - self._touched.get(path, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
            return
        if len(self._touched) > 10_000:
            self._touched.clear()
        self._touched[path] = now
        with suppress(FileNotFoundError):
            os.utime(path)

    def _take_shared(self, name: str, path: Path) -> int | None:
        """Return a descriptor holding the view's shared lock, or None if the view is not there."""
        lock_path = self.root / "locks" / name
        try:
            lock = os.open(lock_path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink and path.is_dir():
                self.touch(lock_path)
                return lock
        except BlockingIOError:
            pass
        os.close(lock)
        return None

    async def _make(self, store_id: int, manifest_version: int, packs: Sequence[PackRow]) -> int:
        """Hydrate the packs and link the view; return its shared lock."""
        name = f"{store_id}-{manifest_version}"
        path = self.root / "views" / name
        async with self._making.setdefault((store_id, manifest_version), asyncio.Lock()):
            for _ in range(100):
                if (shared := self._take_shared(name, path)) is not None:
                    return shared
                await self._hydrate(packs)
                try:
                    await asyncio.to_thread(self._link_view, name, path, packs)
                except FileNotFoundError:
                    continue  # a pack was evicted between its download and its link
                except OSError as error:
                    raise await self._disk_error(error) from error
        self._making.pop((store_id, manifest_version), None)
        raise Unavailable("This node's cache is too small for this repository; try another node.")

    def _link_view(self, name: str, path: Path, packs: Sequence[PackRow]) -> None:
        lock = os.open(self.root / "locks" / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.is_dir() or not os.fstat(lock).st_nlink:
                return
            temporary = self.root / "tmp" / random_id()
            (temporary / "objects" / "pack").mkdir(parents=True)
            (temporary / "refs").mkdir()
            (temporary / "config").write_text(_VIEW_CONFIG)
            (temporary / "HEAD").write_text("ref: refs/heads/main\n")
            for pack in packs:
                for ending in ("pack", "idx"):
                    file = f"pack-{pack.id}.{ending}"
                    os.link(self.root / "packs" / pack.id / file, temporary / "objects" / "pack" / file)
            temporary.rename(path)
        finally:
            os.close(lock)

    async def _hydrate(self, packs: Sequence[PackRow]) -> None:
        missing = [pack for pack in packs if not self._has(pack)]
        if missing:
            async with asyncio.TaskGroup() as group:
                for pack in missing:
                    group.create_task(self._download(pack))
            await self.weigh(added_bytes=sum(pack.pack_bytes + pack.index_bytes for pack in missing))

    def _has(self, pack: PackRow) -> bool:
        folder = self.root / "packs" / pack.id
        try:
            return (folder / f"pack-{pack.id}.pack").stat().st_size == pack.pack_bytes and (
                folder / f"pack-{pack.id}.idx"
            ).stat().st_size == pack.index_bytes
        except FileNotFoundError:
            return False

    async def _download(self, pack: PackRow) -> None:
        async with self._downloads:
            if self._has(pack):
                return
            temporary = self.root / "tmp" / random_id()
            temporary.mkdir()
            try:
                await self._fetch(pack, temporary)
                folder = self.root / "packs" / pack.id
                with suppress(FileExistsError, OSError):
                    if folder.exists() and not self._has(pack):
                        shutil.rmtree(folder)
                    temporary.rename(folder)
            except OSError as error:
                raise await self._disk_error(error) from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    async def _fetch(self, pack: PackRow, folder: Path) -> None:
        """Download and verify both files; one more try if the bytes are wrong, then it is an incident."""
        wanted = (
            (f"pack-{pack.id}.idx", f"{pack.key}.idx", pack.index_bytes, pack.index_sha256),
            (f"pack-{pack.id}.pack", f"{pack.key}.pack", pack.pack_bytes, pack.pack_sha256),
        )
        for file, key, size, sha256 in wanted:
            for attempt in (1, 2):
                try:
                    found = await self._storage.download(key, folder / file)
                except StorageNotFound:
                    found = None
                if found is not None and (found.size, found.sha256) == (size, sha256):
                    break
                _log.error("pack_damaged", key=key, attempt=attempt, found=None if found is None else found.size)
                if attempt == 2:
                    raise PackDamaged(key)

    async def _disk_error(self, error: OSError) -> Exception:
        """Make room if the disk is full, so that a retry works; return what to raise."""
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            await asyncio.to_thread(self.evict, 0)
            return DiskFull()
        return error

    @contextmanager
    def _exclusive(self, name: str) -> Iterator[bool]:
        """Hold a lock file exclusively; yields False if somebody else has it."""
        descriptor = os.open(self.root / "locks" / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield bool(os.fstat(descriptor).st_nlink)
        finally:
            os.close(descriptor)

    def _used_bytes(self) -> int:
        total = 0
        for kind in ("packs", "fetch", "tmp"):
            for folder, _, files in os.walk(self.root / kind):
                for file in files:
                    with suppress(FileNotFoundError):
                        total += Path(folder, file).stat().st_blocks * 512
        return total

    def _by_age(self) -> list[Path]:
        """Return evictable entries, views before the packs they link and otherwise oldest first."""
        horizon = time.time() - GRACE_SECONDS
        aged: list[tuple[int, float, Path]] = []
        for rank, kind in enumerate(("views", "fetch", "packs")):
            for entry in (self.root / kind).iterdir():
                with suppress(FileNotFoundError):
                    used_at = self._used_at(kind, entry)
                    if used_at < horizon:
                        aged.append((rank if kind == "packs" else 0, used_at, entry))
        return [entry for _, _, entry in sorted(aged, key=lambda item: item[:2])]

    def _used_at(self, kind: str, entry: Path) -> float:
        if kind == "views":
            return (self.root / "locks" / entry.name).stat().st_mtime
        return entry.stat().st_mtime

    def _remove(self, entry: Path) -> int:
        """Remove one entry unless it is in use; return the bytes that gave back."""
        kind = entry.parent.name
        if kind == "fetch":
            size = entry.stat().st_size
            entry.unlink(missing_ok=True)
            return size
        if kind == "packs":
            return self._remove_pack(entry)
        with self._exclusive(entry.name) as is_mine:
            if is_mine:
                trash = self.root / "tmp" / random_id()
                entry.rename(trash)
                (self.root / "locks" / entry.name).unlink(missing_ok=True)
                shutil.rmtree(trash, ignore_errors=True)
        return 0

    def _remove_pack(self, folder: Path) -> int:
        """Remove a pack that no view links any more; one that is linked would not give its bytes back."""
        files = [(file, file.stat()) for file in folder.iterdir()]
        if any(found.st_nlink > 1 for _, found in files):
            return 0
        trash = self.root / "tmp" / random_id()
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
        return sum(found.st_blocks * 512 for _, found in files)


class ViewMissing(Exception):
    """The view is not on this node; the caller reads the manifest and asks again with its packs."""
