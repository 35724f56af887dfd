"""The node's folder of packs and views: a cache that may be deleted at any moment, shared by the node's programs.

Layout below its root: ``packs/ID/`` (see ``cached_files``), ``views/STORE-VERSION/`` (a bare directory of hard links),
``fetch/KEY`` (cached answers), ``locks/`` (one file a view), ``quarantine/``, ``tmp/``, ``forms/`` (files that browsers
send). A shared lock on its lock file keeps a view, also while it is being made: in a directory that only its maker
knows, which then takes its name. Whoever removes one holds the exclusive lock. A view's age is its lock file's mtime:
never a pack's, because hard links share the inode and git touches it.
"""

import asyncio
import errno
import fcntl
import math
import os
import shutil
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from cairn.base.errors import Unavailable
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.base.settings import FORMS_FOLDER
from cairn.git.cached_files import CachedFiles, StoredGroup
from cairn.git.turns import Turns
from cairn.storage.storage import Storage

GRACE_SECONDS = 120
"""Nothing used this recently is evicted: a server may still be about to open a file it was told to send."""

TEMPORARY_SECONDS = 86_400
"""Longer than any transfer: what nobody touched since in ``tmp`` and ``forms`` belongs to a process that died."""

_TEMPORARY = ("tmp", FORMS_FOLDER)

_TOUCH_SECONDS = 30
_TRUSTED_MAX = 100_000
_EVICT_TO = 0.8
_VIEW_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogallrefupdates = false\n"
_log = get_logger(__name__)


class DiskFull(Unavailable):
    """The node's cache disk has no room, even after eviction."""

    def __init__(self) -> None:
        super().__init__("This node's cache disk is full; try again in a moment.")


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

    @property
    def has_bitmap(self) -> bool:
        """Whether git can tell at once what commits reach."""
        return (self.objects / "pack" / "multi-pack-index").exists()


class NodeCache:
    """Keeps packs and views on the node's disk within ``max_bytes``."""

    def __init__(self, root: Path, storage: Storage, *, max_bytes: int) -> None:
        self.root = root.absolute()
        self._files = CachedFiles(self.root, storage)
        self._max_bytes = max_bytes
        # Views whose packs this program verified: what another one left here before may have been damaged since.
        self._trusted: set[str] = set()
        # A lock lives as long as somebody holds it or waits for it.
        self._making: WeakValueDictionary[str, Turns] = WeakValueDictionary()
        self._unweighed_bytes = 0
        self._touched: dict[Path, float] = {}
        self.hits = 0
        self.misses = 0
        self.make_folders()

    def make_folders(self) -> None:
        """Make the cache's own folders where they are missing: somebody may have emptied the disk."""
        for name in ("packs", "views", "locks", "quarantine", "fetch", "home", *_TEMPORARY):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    @property
    def quarantines(self) -> Path:
        """Where quarantines live: on the cache's file system, so that packs can be linked instead of copied."""
        return self.root / "quarantine"

    @asynccontextmanager
    async def view(
        self,
        store_id: int,
        manifest_version: int,
        packs: Sequence[StoredGroup] | None,
        *,
        indexes: Sequence[StoredGroup] = (),
    ) -> AsyncIterator[View]:
        """Yield the view of a manifest version, kept until the block ends.

        ``packs`` None means "only if it is on this node and known to be right": raises ViewMissing otherwise. It has
        those of ``indexes`` that can be had. Errors: PackDamaged, DiskFull.
        """
        name = f"{store_id}-{manifest_version}"
        lock = self._take(name)
        if lock is not None:
            self.hits += 1
        elif packs is None:
            raise ViewMissing(name)
        else:
            self.misses += 1
            lock = await self._make(name, packs, indexes)
        try:
            yield View(self.root / "views" / name, store_id, manifest_version)
        finally:
            os.close(lock)

    async def suspect(self, view: View) -> bool:
        """Verify the packs of a view that a reader found damaged; True if one was, and is right now."""
        ids = [entry.stem.removeprefix("pack-") for entry in (view.objects / "pack").glob("*.idx")]
        return await self._files.suspect(ids, view.objects)

    async def scrub(self) -> None:
        """Read again a part of what has not been read for long, and replace what is damaged."""
        await self._files.scrub()

    def adopt(self, pack_id: str, path_pack: Path, path_idx: Path) -> None:
        """Link a pack that was just uploaded from here into the cache; a full disk only loses the shortcut."""
        self._unweighed_bytes += self._files.adopt(
            pack_id, {f"pack-{pack_id}.idx": path_idx, f"pack-{pack_id}.pack": path_pack}
        )

    def adopt_files(self, group_id: str, paths: Sequence[Path]) -> None:
        """The same for files that keep their names: those of an index."""
        self._unweighed_bytes += self._files.adopt(group_id, {path.name: path for path in paths})

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
        self.make_folders()
        with self._exclusive("evict") as is_mine:
            if not is_mine:
                return 0
            used = self._used_bytes()
            if used <= max_bytes:
                return used
            older_than = time.time() - GRACE_SECONDS
            for entry in self._by_age(older_than):
                if used <= max_bytes * _EVICT_TO:
                    break
                with suppress(FileNotFoundError):  # another program removed it
                    used -= self._remove(entry, older_than=older_than)
            _log.info("cache_evicted", used_bytes=used, max_bytes=max_bytes)
            return used

    def sweep(self) -> None:
        """Delete what no request can still be using, then evict. Blocks: call it in a thread.

        That is: temporary files of processes that died, and views that a later version of their store replaced. They
        cost no bytes but names, and a file system gives one pack only so many (ext4: 65,000).
        """
        self.sweep_temporary()
        for view in self._superseded():
            with suppress(FileNotFoundError):  # another program removed it
                self._remove_view(view, older_than=time.time() - GRACE_SECONDS)
        self.evict(self._max_bytes)

    def sweep_temporary(self) -> None:
        """Delete temporary files of processes that died. Blocks: call it in a thread."""
        self.make_folders()
        horizon = time.time() - TEMPORARY_SECONDS
        for entry in (entry for kind in _TEMPORARY for entry in (self.root / kind).iterdir()):
            with suppress(FileNotFoundError):
                if _written_at(entry) < horizon:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def forget(self, pack_ids: Collection[str]) -> None:
        """The node has none of these packs, but in views that somebody is using this moment. Blocks; safe to repeat."""
        for view in (self.root / "views").iterdir():
            if any((view / "objects" / "pack" / f"pack-{pack_id}.pack").exists() for pack_id in pack_ids):
                with suppress(FileNotFoundError):  # another program removed it
                    self._remove_view(view, older_than=math.inf)
        for pack_id in pack_ids:
            trash = self._trash()
            with suppress(FileNotFoundError):
                (self.root / "packs" / pack_id).rename(trash)
                shutil.rmtree(trash, ignore_errors=True)

    async def make_room(self, error: OSError) -> Exception:
        """Evict everything unused if ``error`` says that the disk is full; return what to raise instead of it."""
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            return error
        await asyncio.to_thread(self.evict, 0)
        return DiskFull()

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

    def _take(self, name: str) -> int | None:
        """Return a descriptor that keeps the view, or None if it is not here or not known to be right."""
        if name not in self._trusted:
            return None
        lock_path = self.root / "locks" / name
        try:
            lock = os.open(lock_path, os.O_RDWR)
        except FileNotFoundError:
            self._trusted.discard(name)
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink and (self.root / "views" / name).is_dir():
                self.touch(lock_path)
                return lock
        except BlockingIOError:
            pass
        os.close(lock)
        return None

    async def _make(self, name: str, packs: Sequence[StoredGroup], indexes: Sequence[StoredGroup]) -> int:
        """The view is there and right; return the lock that keeps it."""
        turns = self._making.setdefault(name, Turns())
        async with turns.turn():
            if (lock := self._take(name)) is not None:
                return lock
            try:
                self.make_folders()
                # Held from here on, so that nobody removes the view between its making and its use.
                lock = await asyncio.to_thread(self._keep, name)
                try:
                    await self._complete(self.root / "views" / name, packs, indexes)
                except BaseException:
                    os.close(lock)
                    raise
            except OSError as error:
                raise await self.make_room(error) from error
            self._trust(name)
            return lock

    def _keep(self, name: str) -> int:
        """Return a shared lock on the view's lock file; waits for whoever is removing it, which takes milliseconds."""
        while True:
            lock = os.open(self.root / "locks" / name, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.fstat(lock).st_nlink:
                os.utime(lock)
                return lock
            os.close(lock)  # it went away with the view it belonged to

    async def _complete(self, path: Path, packs: Sequence[StoredGroup], indexes: Sequence[StoredGroup]) -> None:
        """The view is there, made now, by another program of the node or in an earlier life; its files are right."""
        if not path.is_dir():
            await self._build(path, packs, indexes)
        await self._files.check_all(packs, path / "objects")
        await self._files.check_available(indexes, path / "objects")

    async def _build(self, path: Path, packs: Sequence[StoredGroup], indexes: Sequence[StoredGroup]) -> None:
        building = self.root / "tmp" / random_id()
        try:
            _lay_out(building)
            added_bytes = await self._files.link_all(packs, building / "objects")
            added_bytes += await self._files.link_available(indexes, building / "objects")
            try:
                building.rename(path)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:  # another program of the node was first
                    raise
        finally:
            await asyncio.to_thread(shutil.rmtree, building, ignore_errors=True)
        await self.weigh(added_bytes=added_bytes)

    def _trust(self, name: str) -> None:
        if len(self._trusted) >= _TRUSTED_MAX:
            self._trusted.clear()
        self._trusted.add(name)

    def _trash(self) -> Path:
        return self.root / "tmp" / random_id()

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
        for kind in ("packs", "fetch", *_TEMPORARY):
            for folder, _, files in os.walk(self.root / kind):
                for file in files:
                    with suppress(FileNotFoundError):
                        total += Path(folder, file).stat().st_blocks * 512
        return total

    def _by_age(self, older_than: float) -> list[Path]:
        """Return what nobody used since ``older_than``, oldest first; packs that no view links come last."""
        aged: list[tuple[bool, float, Path]] = []
        for kind in ("views", "fetch", "packs"):
            for entry in (self.root / kind).iterdir():
                used_at = self._used_at(entry)
                if used_at < older_than:
                    aged.append((kind == "packs", used_at, entry))
        return [entry for _, _, entry in sorted(aged)]

    def _used_at(self, entry: Path) -> float:
        """Return when an entry was last used; 0 for a view without its lock file or what is gone already."""
        path = self.root / "locks" / entry.name if entry.parent.name == "views" else entry
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return 0

    def _superseded(self) -> list[Path]:
        """Return the views of which a later version of the same store is here too."""
        newest: dict[str, int] = {}
        views: list[tuple[Path, str, int]] = []
        for path in (self.root / "views").iterdir():
            store, _, version = path.name.partition("-")
            views.append((path, store, int(version)))
            newest[store] = max(newest.get(store, 0), int(version))
        return [path for path, store, version in views if version < newest[store]]

    def _remove(self, entry: Path, *, older_than: float) -> int:
        """Remove one entry unless it is in use; return the bytes that gave back."""
        match entry.parent.name:
            case "views":
                return self._remove_view(entry, older_than=older_than)
            case "packs":
                return self._remove_pack(entry, older_than=older_than)
        size = entry.stat().st_blocks * 512
        entry.unlink()
        return size

    def _remove_view(self, view: Path, *, older_than: float) -> int:
        """Remove a view that nobody holds, and the packs that only it kept here."""
        if self._used_at(view) >= older_than:
            return 0
        with self._exclusive(view.name) as is_mine:
            if not is_mine:
                return 0
            packs = [entry.stem.removeprefix("pack-") for entry in (view / "objects" / "pack").glob("*.idx")]
            trash = self._trash()
            view.rename(trash)
            (self.root / "locks" / view.name).unlink(missing_ok=True)
            shutil.rmtree(trash, ignore_errors=True)
        freed = 0
        for pack in packs:
            with suppress(FileNotFoundError):
                freed += self._remove_pack(self.root / "packs" / pack, older_than=older_than)
        return freed

    def _remove_pack(self, folder: Path, *, older_than: float) -> int:
        """Remove a pack that no view links any more; one that is linked would not give its bytes back."""
        if folder.stat().st_mtime >= older_than:
            return 0
        files = [(file, file.stat()) for file in folder.iterdir()]
        if any(found.st_nlink > 1 for _, found in files):
            return 0
        trash = self._trash()
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
        return sum(found.st_blocks * 512 for _, found in files)


class ViewMissing(Exception):
    """The view is not on this node; the caller reads the manifest and asks again with its packs."""


def _written_at(entry: Path) -> float:
    """Return when a file, or one right in a folder, was last written: a large one may come for days."""
    inside = entry.iterdir() if entry.is_dir() else ()
    return max(float(path.stat().st_mtime) for path in (entry, *inside))


def _lay_out(view: Path) -> None:
    (view / "objects" / "pack").mkdir(parents=True)
    (view / "objects" / "info").mkdir()
    (view / "refs").mkdir()
    (view / "config").write_text(_VIEW_CONFIG)
    (view / "HEAD").write_text("ref: refs/heads/main\n")
