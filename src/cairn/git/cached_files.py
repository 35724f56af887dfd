"""The immutable files of a node's cache: packs and indexes under their ids, verified, shared by hard links.

``packs/ID/`` holds the files of one pack or index. Whoever needs them gets links of their own into a folder of their
own, from there if they are there, else from a private download that is then offered to ``packs/``. So eviction may take
anything at any moment: what a user holds is theirs.

A file's SHA-256 is compared before its first use after the program's start and again when something looks wrong; what
is damaged is replaced, in every view of the node that has it, by a verified copy.
"""

import asyncio
import errno
import hashlib
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from cairn.base.errors import CairnError, Unavailable
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.git.together import together
from cairn.git.turns import Turns
from cairn.storage.errors import StorageCorrupt, StorageNotFound, StorageUnavailable
from cairn.storage.storage import Storage

VERIFIED_SECONDS = 86_400
"""How long a verification is believed before the scrub repeats it."""

SUSPECTED_SECONDS = 60
"""What was verified this recently is not verified again however many readers complain."""

SCRUB_BYTES = 1 << 30
"""What one scrub reads at most."""

_PARALLEL_DOWNLOADS = 4
_VERIFIED_MAX = 50_000
_log = get_logger(__name__)


class PackDamaged(Unavailable):
    """A pack that the manifest names is absent or altered in the object store: an incident, never a shorter history."""

    def __init__(self, key: str) -> None:
        super().__init__("This repository's data is damaged or incomplete in the object store; the operator was told.")
        self.key = key


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the object store and its place in a view, below ``objects``."""

    place: str
    key: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return self.place.rpartition("/")[2]


class StoredGroup(Protocol):
    """What is kept, linked and evicted together: a pack with its index, or one index over packs."""

    @property
    def id(self) -> str:
        """The id, used once in the whole installation."""

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """Its files, in the order they are fetched."""


@dataclass(frozen=True, slots=True)
class PackRow:
    """What hydration needs to know of a pack."""

    id: str
    key: str
    pack_bytes: int
    index_bytes: int
    pack_sha256: str
    index_sha256: str

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The index first: a damaged one is found before the large file is fetched."""
        return (
            StoredFile(f"pack/pack-{self.id}.idx", f"{self.key}.idx", self.index_bytes, self.index_sha256),
            StoredFile(f"pack/pack-{self.id}.pack", f"{self.key}.pack", self.pack_bytes, self.pack_sha256),
        )


@dataclass(slots=True)
class _Verified:
    """Which files of a group were found right, when (monotonic seconds), and where they were seen last."""

    group: StoredGroup
    inodes: tuple[int, ...]
    at: float
    objects: Path


class CachedFiles:
    """The ``packs`` folder of a node's cache, for one program."""

    def __init__(self, root: Path, storage: Storage) -> None:
        self._root = root
        self._folder = root / "packs"
        self._storage = storage
        self._downloads = asyncio.Semaphore(_PARALLEL_DOWNLOADS)
        # An entry lives as long as somebody holds it or waits for it.
        self._fetching: WeakValueDictionary[str, Turns] = WeakValueDictionary()
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    async def link_all(self, groups: Iterable[StoredGroup], objects: Path) -> int:
        """``objects`` has its own verified link to each file of each group; return the bytes that were downloaded.

        Errors: PackDamaged, the storage's StorageUnavailable, OSError of the disk.
        """
        missing = [group for group in groups if not await self._link(group, objects)]
        await together(*(self._fetch(group, objects) for group in missing))
        return sum(file.size for group in missing for file in group.files)

    async def check_all(self, groups: Iterable[StoredGroup], objects: Path) -> int:
        """Each file of each group that ``objects`` has is as it should be; return how many groups had to be replaced.

        What this program verified before is believed. Errors: as ``link_all``.
        """
        damaged = [group for group in groups if not await self._is_right(group, objects)]
        for group in damaged:
            await self._heal(group, objects)
        return len(damaged)

    async def suspect(self, ids: Iterable[str], objects: Path) -> bool:
        """Verify groups anew that a reader found damaged; True if one was, and is right now."""
        horizon = time.monotonic() - SUSPECTED_SECONDS
        known = [self._verified[each] for each in ids if each in self._verified]
        suspected = [found.group for found in known if found.at < horizon]
        for group in suspected:
            del self._verified[group.id]
        return await self.check_all(suspected, objects) > 0

    async def scrub(self, *, max_bytes: int = SCRUB_BYTES) -> int:
        """Verify again what is longest unverified, up to so many bytes; return how many groups had to be replaced."""
        horizon, budget, healed = time.monotonic() - VERIFIED_SECONDS, max_bytes, 0
        for found in sorted(self._verified.values(), key=lambda found: found.at):
            size = sum(file.size for file in found.group.files)
            if found.at > horizon or budget < size:
                break
            budget -= size
            del self._verified[found.group.id]
            if _inodes(found.group, found.objects):
                healed += await self.check_all([found.group], found.objects)
        return healed

    async def link_available(self, groups: Iterable[StoredGroup], objects: Path) -> int:
        """As ``link_all`` for what nothing depends on: a group that cannot be had is left out."""
        added_bytes = 0
        for group in groups:
            try:
                added_bytes += await self.link_all([group], objects)
            except CairnError as error:
                _log.warning("index_left_out", id=group.id, error=error.message)
        return added_bytes

    async def check_available(self, groups: Iterable[StoredGroup], objects: Path) -> None:
        """As ``check_all`` for what nothing depends on: what is damaged and cannot be had anew is taken out."""
        for group in groups:
            if not any((objects / file.place).exists() for file in group.files):
                continue
            try:
                await self.check_all([group], objects)
            except CairnError as error:
                _log.warning("index_left_out", id=group.id, error=error.message)
                for file in group.files:
                    (objects / file.place).unlink(missing_ok=True)

    def adopt(self, group_id: str, files: Mapping[str, Path]) -> int:
        """Link what was just uploaded from here into the cache, by name; return its bytes, 0 if the disk refused."""
        temporary = self._root / "tmp" / random_id()
        try:
            temporary.mkdir()
            for name, path in files.items():
                os.link(path, temporary / name)
            temporary.rename(self._folder / group_id)
            return sum(path.stat().st_size for path in files.values())
        except OSError as error:
            # Only a shortcut is lost.
            _log.warning("files_not_adopted", id=group_id, error=error.strerror)
            shutil.rmtree(temporary, ignore_errors=True)
            return 0

    async def _link(self, group: StoredGroup, objects: Path) -> bool:
        """Link a group from the cache, put right if it is damaged there; False if it is not there."""
        linked: list[Path] = []
        try:
            for file in group.files:
                os.link(self._folder / group.id / file.name, objects / file.place)
                linked.append(objects / file.place)
        except FileNotFoundError:
            for path in linked:
                path.unlink()
            return False
        if not await self._is_right(group, objects):
            await self._heal(group, objects)
        return True

    async def _fetch(self, group: StoredGroup, objects: Path) -> None:
        turns = self._fetching.setdefault(group.id, Turns())
        async with turns.turn(), self._downloads:
            if await self._link(group, objects):  # somebody fetched it meanwhile
                return
            temporary = self._root / "tmp" / random_id()
            try:
                temporary.mkdir()
                await self._download(group.files, temporary)
                for file in group.files:
                    os.link(temporary / file.name, objects / file.place)
                self._note(group, objects)
                self._offer(group.id, temporary)
            finally:
                await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)

    async def _download(self, files: Sequence[StoredFile], folder: Path) -> None:
        """Download and verify files; one more try for what arrived wrong, cut or not, then it is an incident."""
        for file in files:
            for attempt in (1, 2):
                try:
                    found = await self._storage.download(file.key, folder / file.name)
                except (StorageNotFound, StorageCorrupt):
                    found = None
                except StorageUnavailable:
                    if attempt == 2:
                        raise
                    continue
                if found is not None and (found.size, found.sha256) == (file.size, file.sha256):
                    break
                size = None if found is None else found.size
                _log.error("pack_damaged", key=file.key, attempt=attempt, found=size)
                if attempt == 2:
                    raise PackDamaged(file.key)

    def _offer(self, group_id: str, downloaded: Path) -> None:
        """Give a verified download its place in the cache, unless another program of the node was first."""
        try:
            downloaded.rename(self._folder / group_id)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise

    async def _is_right(self, group: StoredGroup, objects: Path) -> bool:
        known = self._verified.get(group.id)
        if known is not None and known.inodes == _inodes(group, objects):
            known.objects = objects
            return True
        if await asyncio.to_thread(_has_right_bytes, group, objects):
            self._note(group, objects)
            return True
        _log.error("cached_file_damaged", id=group.id, place=str(objects))
        return False

    async def _heal(self, group: StoredGroup, objects: Path) -> None:
        """A verified copy takes the place of damaged files wherever this node links them, at once for each reader."""
        self._discard(group.id)
        temporary = self._root / "tmp" / random_id()
        try:
            temporary.mkdir()
            await self._download(group.files, temporary)
            await asyncio.to_thread(self._replace, group, objects, temporary)
            self._note(group, objects)
            self._offer(group.id, temporary)
        finally:
            await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)
        _log.warning("cached_file_replaced", id=group.id)

    def _replace(self, group: StoredGroup, objects: Path, fresh: Path) -> None:
        damaged = {file.place: _inode(objects / file.place) for file in group.files}
        views = [objects, *(view / "objects" for view in (self._root / "views").iterdir())]
        for file in group.files:
            for place in (view / file.place for view in views):
                if place.parent.parent == objects or _inode(place) == damaged[file.place]:
                    link = self._root / "tmp" / random_id()
                    os.link(fresh / file.name, link)
                    link.replace(place)

    def _discard(self, group_id: str) -> None:
        """Take a group out of the cache; links of it live on."""
        trash = self._root / "tmp" / random_id()
        with suppress(FileNotFoundError):
            (self._folder / group_id).rename(trash)
            shutil.rmtree(trash, ignore_errors=True)

    def _note(self, group: StoredGroup, objects: Path) -> None:
        self._verified[group.id] = _Verified(group, _inodes(group, objects), time.monotonic(), objects)
        self._verified.move_to_end(group.id)
        if len(self._verified) > _VERIFIED_MAX:
            self._verified.popitem(last=False)


def _inodes(group: StoredGroup, objects: Path) -> tuple[int, ...]:
    """Return which files these are; empty if one is not there."""
    found = tuple(_inode(objects / file.place) for file in group.files)
    return found if all(found) else ()


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _has_right_bytes(group: StoredGroup, objects: Path) -> bool:
    """Read the files and compare; sizes first, because they cost nothing. Blocks."""
    try:
        if any((objects / file.place).stat().st_size != file.size for file in group.files):
            return False
        return all(_sha256(objects / file.place) == file.sha256 for file in group.files)
    except FileNotFoundError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
