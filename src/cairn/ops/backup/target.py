"""How backups lie in their folder or bucket.

``backups/ID/manifest.json``   what the backup consists of; written last, so that a backup without one does not exist
``backups/ID/tables/…``        the database, a compressed file of JSON lines for each table
``backups/ID/keys.jsonl.gz``   every object the backup needs, with size and SHA-256
``copies/KEY``                 the objects, under their own keys, shared by all backups: packs never change
``purged/…``                   what was purged since: no restore brings it back, however old the backup

A target belongs to one installation.
"""

import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

import msgspec

from cairn.base.errors import CairnError, Misconfigured, NotFound
from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.ops.backup.dump import FileStat, TableFile
from cairn.ops.backup.runs import place_of
from cairn.ops.backup.stored_keys import StoredKey
from cairn.storage.address import Address, StorageUrl, parse_address, parse_url
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage, open_storage_at

FORMAT = 1
COPIES = "copies"
BACKUPS = "backups"
PURGED = "purged"
KEYS_FILE = "keys.jsonl.gz"
MANIFEST_FILE = "manifest.json"
MANIFEST_BYTES_MAX = 8 << 20
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


class BackupTargetInvalid(Misconfigured):
    """The place for backups cannot be used."""


class BackupNotFound(NotFound):
    """There is no complete backup of that name."""


class BackupUnreadable(CairnError):
    """A backup's own files are damaged, or a newer program made it."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What one backup consists of. ``taken_at``: everything committed before is in it, nothing after."""

    format: int = FORMAT
    id: str
    taken_at: datetime
    finished_at: datetime
    program: str
    schema: int
    database: str
    origin: str
    tables: tuple[TableFile, ...]
    keys: FileStat
    objects: int
    object_bytes: int
    copied: int
    copied_bytes: int
    """What this backup had to copy; the rest was there from backups before."""
    key_ids: tuple[str, ...] = ()
    """The secret keys that sealed what is sealed in the database: without them nobody can read that."""
    missing: tuple[StoredKey, ...] = ()
    """Objects the database named and the object store did not have, or had damaged: lost before the backup."""
    pin: str = ""

    @property
    def is_whole(self) -> bool:
        """True if nothing was missing in the installation when the backup was made."""
        return not self.missing

    @property
    def own_bytes(self) -> int:
        """Bytes of the files that belong to this backup alone."""
        return self.keys.size + sum(item.file.size for item in self.tables)


def backup_address(settings: Settings, url: str, *, variable: str = "CAIRN_BACKUP_URL") -> StorageUrl:
    """Return the address of a target; BackupTargetInvalid if it is empty or shares a place with the live objects."""
    if not url:
        raise BackupTargetInvalid(f"{variable} is not set: say where backups go, for example file:///backups/cairn")
    place = StorageUrl(url, variable)
    ours, theirs = parse_address(settings), parse_url(place)
    if _overlap(ours, theirs):
        raise BackupTargetInvalid(
            f"{variable} names a place inside the live object store, or around it: "
            "what destroys the one would destroy the other. Use another disk or another bucket."
        )
    return place


def _overlap(one: Address, other: Address) -> bool:
    if one.folder is not None and other.folder is not None:
        first, second = one.folder.resolve(), other.folder.resolve()
        return first.is_relative_to(second) or second.is_relative_to(first)
    if one.scheme != other.scheme or one.scheme == "memory":
        return False
    containers = ("bucket", "container", "endpoint")
    if any(one.options.get(name) != other.options.get(name) for name in containers):
        return False
    roots = [f"{item.options.get('root', '/').rstrip('/')}/" for item in (one, other)]
    return roots[0].startswith(roots[1]) or roots[1].startswith(roots[0])


def open_target(settings: Settings, url: str, *, variable: str = "CAIRN_BACKUP_URL") -> "BackupTarget":
    """Return the target at an address; see ``backup_address`` for what is refused."""
    place = backup_address(settings, url, variable=variable)
    return BackupTarget(open_storage_at(place, settings), place.value)


class BackupTarget:
    """A place that holds backups; ``storage`` is the place itself."""

    def __init__(self, storage: Storage, url: str) -> None:
        self.storage = storage
        self.label = storage.label
        self.place = place_of(url)

    async def read_manifests(self) -> list[Manifest]:
        """Return every complete backup, the newest first; damaged manifests are BackupUnreadable."""
        found = [await self.read_manifest(name) for name in await self._ids() if await self._is_complete(name)]
        return sorted(found, key=lambda manifest: (manifest.taken_at, manifest.id), reverse=True)

    async def read_manifest(self, backup: str) -> Manifest:
        """Return one backup; BackupNotFound without a manifest, BackupUnreadable if it makes no sense."""
        if not _ID.fullmatch(backup):
            raise BackupNotFound(f"{backup[:60]!r} is no backup's name; `cairnd backup list` shows them.")
        key = f"{BACKUPS}/{backup}/{MANIFEST_FILE}"
        try:
            data = await self.storage.get(key, max_bytes=MANIFEST_BYTES_MAX)
        except StorageNotFound:
            raise BackupNotFound(
                f"There is no complete backup {backup!r} in {self.label}; `cairnd backup list` shows them."
            ) from None
        return _parse_manifest(key, data)

    async def newest(self) -> Manifest:
        """Return the newest complete backup; BackupNotFound if there is none."""
        manifests = await self.read_manifests()
        if not manifests:
            raise BackupNotFound(f"There is no complete backup in {self.label}.")
        return manifests[0]

    async def write_manifest(self, manifest: Manifest) -> None:
        """Make the backup exist."""
        data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        await self.storage.put(f"{BACKUPS}/{manifest.id}/{MANIFEST_FILE}", data)

    async def put_file(self, backup: str, folder: Path, file: FileStat) -> None:
        """Add one of the backup's own files."""
        await self.storage.put_file(f"{BACKUPS}/{backup}/{file.name}", folder / file.name)

    async def get_file(self, backup: str, folder: Path, file: FileStat) -> None:
        """Bring one of the backup's own files below ``folder``; BackupUnreadable if it is not what was written."""
        key = f"{BACKUPS}/{backup}/{file.name}"
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
        try:
            found = await self.storage.download(key, folder / file.name)
        except StorageNotFound:
            raise BackupUnreadable(f"{key} is missing in {self.label}: this backup cannot be used.") from None
        if (found.size, found.sha256) != (file.size, file.sha256):
            raise BackupUnreadable(f"{key} in {self.label} is damaged: this backup cannot be used.")

    async def remnants(self) -> list[str]:
        """Return the ids of backups that were begun and never completed."""
        return [name for name in await self._ids() if not await self._is_complete(name)]

    async def delete_backup(self, backup: str) -> None:
        """Delete a backup's own files, its manifest first: it is gone at once, or it is whole."""
        await self.storage.delete(f"{BACKUPS}/{backup}/{MANIFEST_FILE}")
        await self.storage.delete_prefix(f"{BACKUPS}/{backup}")

    async def _ids(self) -> list[str]:
        """Return the names below ``backups``, in order, without reading every file's entry of the ones found."""
        found: list[str] = []
        start_after: str | None = None
        while True:
            async for entry in self.storage.list(BACKUPS, start_after=start_after):
                name = entry.key.split("/")[1]
                if not found or found[-1] != name:
                    found.append(name)
                    break
                start_after = entry.key
            else:
                return [name for name in found if _ID.fullmatch(name)]
            start_after = f"{BACKUPS}/{found[-1]}/~"

    async def _is_complete(self, backup: str) -> bool:
        return await self.storage.exists(f"{BACKUPS}/{backup}/{MANIFEST_FILE}")


def new_backup_id(at: datetime) -> str:
    """Return the id of a backup that begins now: ids sort by time."""
    return f"{at:%Y%m%dT%H%M%SZ}-{random_id()[:8]}"


def write_keys(path: Path, keys: Iterator[StoredKey]) -> None:
    """Write a keys file. Blocks: call it in a thread."""
    encoder = msgspec.json.Encoder()
    with gzip.open(path, "wb", compresslevel=5) as file:
        for item in keys:
            file.write(encoder.encode(item) + b"\n")


def read_keys(path: Path, take: Callable[[Sequence[StoredKey]], None], *, keys_at_once: int = 5000) -> None:
    """Give every key of a keys file to ``take``, some thousands at a time. Blocks: call it in a thread."""
    decoder = msgspec.json.Decoder(StoredKey)
    with gzip.open(path, "rb") as file:
        lines = iter(file)
        while batch := [decoder.decode(line) for line in islice(lines, keys_at_once)]:
            take(batch)


def _parse_manifest(key: str, data: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.ValidationError as error:
        raise BackupUnreadable(f"{key} is no manifest this program can read ({error}); a newer one may.") from None
    except msgspec.DecodeError:
        raise BackupUnreadable(f"{key} is damaged: it is no JSON.") from None
    if manifest.format > FORMAT:
        raise BackupUnreadable(
            f"{key} has format {manifest.format}, this program reads up to {FORMAT}: use a newer one."
        )
    return manifest
