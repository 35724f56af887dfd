"""The folder of large objects held against the tables, both ways, as a part of ``git.bucket_comparison``.

Both sides come in the order of the keys, which all have one form, so a batch of one is compared with the same stretch
of the other: in memory are one listing page and the rows beside it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from cairn.db.database import Database
from cairn.git.bucket_comparison import BATCH_ROWS, OLD, Comparison, delete_unless_held
from cairn.lfs.models import BlobState, LfsBlob, LfsUpload
from cairn.lfs.uploads import PREFIX
from cairn.storage.errors import StorageNotFound
from cairn.storage.listing import ObjectStat
from cairn.storage.storage import Storage

_TOLD_MAX = 20
_AFTER_ALL = "~"
"""Sorts after every key of the folder."""


@dataclass(slots=True)
class _Found:
    missing: int = 0
    unknown: int = 0
    deleted: int = 0
    missing_keys: list[str] = field(default_factory=list)
    unknown_keys: list[str] = field(default_factory=list)


async def compare_lfs(database: Database, storage: Storage) -> Comparison:
    """Compare the folder, delete what is unknown and old unless held; return what the two disagree on.

    Errors: the storage's, the database's. Safe beside everything else, and to repeat.
    """
    found, after = _Found(), ""
    before = await database.now() - OLD
    async for listed, until in _listed(storage):
        await _compare(database, storage, found, listed, after, until, before)
        after = until
    return Comparison(found.missing, found.unknown, found.deleted, tuple(found.missing_keys), tuple(found.unknown_keys))


async def _listed(storage: Storage) -> AsyncIterator[tuple[list[ObjectStat], str]]:
    """Yield what is in the folder and up to which key that is everything."""
    batch: list[ObjectStat] = []
    async for entry in storage.list(PREFIX):
        batch.append(entry)
        if len(batch) == BATCH_ROWS:
            yield batch, entry.key
            batch = []
    yield batch, _AFTER_ALL


async def _compare(
    database: Database,
    storage: Storage,
    found: _Found,
    listed: list[ObjectStat],
    after: str,
    until: str,
    before: datetime,
) -> None:
    sizes = {entry.key: entry.size for entry in listed}
    # The rows are read after the keys: an announced key is never unknown.
    async with database.read() as session:
        # uq_lfs_blob_key
        blobs = (await session.scalars(select(LfsBlob).where(LfsBlob.key > after, LfsBlob.key <= until))).all()
        rows = {blob.key: blob for blob in blobs}
        unknown = [
            entry.key
            for entry in listed
            if entry.key not in rows and entry.modified_at is not None and entry.modified_at < before
        ]
        announced = set[str]()
        if unknown:
            announced = set(await session.scalars(select(LfsUpload.key).where(LfsUpload.key.in_(unknown))))
    strays = [key for key in unknown if key not in announced]
    found.unknown += len(strays)
    found.unknown_keys += strays[: _TOLD_MAX - len(found.unknown_keys)]
    found.deleted += await delete_unless_held(database, storage, strays)
    for key, blob in rows.items():
        if blob.state is BlobState.LIVE and sizes.get(key) != blob.size and await _is_missing(database, storage, blob):
            found.missing += 1
            found.missing_keys += [key] if len(found.missing_keys) < _TOLD_MAX else []


async def _is_missing(database: Database, storage: Storage, blob: LfsBlob) -> bool:
    """Look once more: it may have come, or gone as it should, between two looks."""
    try:
        if (await storage.stat(blob.key)).size == blob.size:
            return False
    except StorageNotFound:
        pass
    async with database.read() as session:
        now = await session.get(LfsBlob, blob.sha256)
    return now is not None and now.key == blob.key and now.state is BlobState.LIVE
