"""Bucket and tables held against each other, both ways, once a week.

A key of the engine's folders that no row knows is deleted once it is two days old: every key is announced by a row
before a byte of it exists, so it was left by something that went wrong. A key that a row names and the bucket lacks is
an incident, which the readiness page and the metrics tell. ``cache/`` expires by age and is left out, as are folders
that are not the engine's.

After older tables were put back beside a newer bucket everything pushed since looks unknown: the restore holds the
deletion (``hold``) until an operator has looked at the receipts and releases it.

Memory: one listing page and BATCH_ROWS rows, however many keys there are.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.indexes import INDEX_PREFIX, known_index_keys
from cairn.git.models import BucketComparison, Pack, PackState, UndoPack, Upload
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

OLD = timedelta(hours=48)
"""Far longer than an upload lives, and time for an operator to notice that the tables are the wrong ones."""

FOLDERS = ("packs", "undo", INDEX_PREFIX)
"""What is compared: ``FOLDER/STORE/...``. Folders of other features are theirs to keep."""

BATCH_ROWS = 500
_ROW = 1
_TOLD_MAX = 20
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What bucket and tables disagree on. ``missing`` and ``unknown`` are counts, of both the first few are named."""

    missing: int
    unknown: int
    deleted: int
    missing_keys: tuple[str, ...]
    unknown_keys: tuple[str, ...]


CompareFolder = Callable[[Database, Storage], Awaitable[Comparison]]
"""Compares a folder that is not the engine's; what it finds counts like the rest."""


async def compare_bucket(database: Database, storage: Storage, *, others: Sequence[CompareFolder] = ()) -> Comparison:
    """Compare everything, delete what is unknown and old unless held, and keep the result for the readiness page.

    ``others`` compare the folders of other features. Errors: the storage's, the database's. Safe beside everything
    else, and to repeat.
    """
    unknown: list[str] = []
    unknown_count = deleted = 0
    for folder in FOLDERS:
        async for keys in _old_keys(database, storage, folder):
            strays = await _unknown(database, folder, keys)
            unknown_count += len(strays)
            unknown += strays[: _TOLD_MAX - len(unknown)]
            deleted += await delete_unless_held(database, storage, strays)
    missing_count, missing = await _find_missing(database, storage)
    for compare in others:
        found = await compare(database, storage)
        missing_count, unknown_count = missing_count + found.missing, unknown_count + found.unknown
        deleted += found.deleted
        missing += found.missing_keys[: _TOLD_MAX - len(missing)]
        unknown += found.unknown_keys[: _TOLD_MAX - len(unknown)]
    await _keep_result(database, missing=missing_count, unknown=unknown_count)
    if missing_count:
        _log.error("bucket_keys_missing", count=missing_count, keys=missing)
    if unknown_count:
        _log.warning("bucket_keys_unknown", count=unknown_count, deleted=deleted, keys=unknown)
    return Comparison(missing_count, unknown_count, deleted, tuple(missing), tuple(unknown))


async def hold(session: AsyncSession, *, reason: str) -> None:
    """No comparison deletes anything until ``release``."""
    row = await _lock_row(session)
    row.held_at, row.hold_reason = await database_now(session), reason[:255]
    await session.flush()


async def release(session: AsyncSession) -> bool:
    """Comparisons may delete again; return whether they were held."""
    row = await _lock_row(session)
    was_held = row.held_at is not None
    row.held_at, row.hold_reason = None, ""
    await session.flush()
    return was_held


async def last_comparison(database: Database) -> BucketComparison | None:
    """Return what the last comparison found and whether deletion is held; None before the first."""
    async with database.read() as session:
        return await session.get(BucketComparison, _ROW)


async def _lock_row(session: AsyncSession) -> BucketComparison:
    row = await session.get(BucketComparison, _ROW, with_for_update=True)
    if row is None:
        row = BucketComparison(id=_ROW, missing=0, unknown=0, hold_reason="")
        session.add(row)
    return row


async def _keep_result(database: Database, *, missing: int, unknown: int) -> None:
    async with database.write() as session:
        row = await _lock_row(session)
        row.compared_at, row.missing, row.unknown = await database_now(session), missing, unknown


async def _old_keys(database: Database, storage: Storage, folder: str) -> AsyncIterator[list[str]]:
    """Yield the keys below a folder that are old enough to be judged, some hundred at a time."""
    before = await database.now() - OLD
    batch: list[str] = []
    async for found in storage.list(folder):
        # A store that does not tell the age of a key has none deleted.
        if found.modified_at is not None and found.modified_at < before:
            batch.append(found.key)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    yield batch


async def _unknown(database: Database, folder: str, keys: Sequence[str]) -> list[str]:
    """Return those keys that no row knows. The rows are read after the keys: an announced key is never unknown."""
    by_store: dict[int, list[str]] = defaultdict(list)
    strays: list[str] = []
    for key in keys:
        store = key.split("/")[1]
        by_store[int(store)].append(key) if store.isdigit() and len(store) < 19 else strays.append(key)
    async with database.read() as session:
        for store_id, own in by_store.items():
            known = await _known(session, folder, store_id, own)
            strays += [key for key in own if key not in known]
    return strays


async def _known(session: AsyncSession, folder: str, store_id: int, keys: Sequence[str]) -> set[str]:
    if folder == INDEX_PREFIX:
        return await known_index_keys(session, store_id)
    # The id of an upload is the id of its pack.
    ids = {key.rpartition("/")[2].partition(".")[0] for key in keys}
    ids = {pack_id for pack_id in ids if len(pack_id) == 32}
    model = Pack if folder == "packs" else UndoPack
    found = await session.scalars(select(model.key).where(model.store_id == store_id, model.id.in_(ids)))
    known = {f"{key}.{ending}" for key in found for ending in ("pack", "idx")}
    # Whatever its state: an upload's row outlives its bytes.
    uploads = await session.scalars(select(Upload.keys).where(Upload.store_id == store_id, Upload.id.in_(ids)))
    return known.union(*uploads)


async def delete_unless_held(database: Database, storage: Storage, keys: Sequence[str]) -> int:
    """Delete keys that no row knows, unless deletion is held; return how many."""
    if not keys:
        return 0
    async with database.read() as session:
        row = await session.get(BucketComparison, _ROW)
    if row is not None and row.held_at is not None:
        return 0
    for key in keys:
        await storage.delete(key)
    return len(keys)


async def _find_missing(database: Database, storage: Storage) -> tuple[int, list[str]]:
    count, told = 0, list[str]()
    async for packs in _live_packs(database):
        wanted = {f"{pack.key}.pack": (pack, pack.pack_bytes) for pack in packs}
        wanted |= {f"{pack.key}.idx": (pack, pack.index_bytes) for pack in packs}
        for store_id in sorted({pack.store_id for pack in packs}):
            async for found in storage.list(f"packs/{store_id}"):
                if found.key in wanted and wanted[found.key][1] == found.size:
                    del wanted[found.key]
        for key, (pack, size) in wanted.items():
            if await _is_missing(database, storage, pack, key, size):
                count += 1
                told += [key] if len(told) < _TOLD_MAX else []
    return count, told


async def _live_packs(database: Database) -> AsyncIterator[list[Pack]]:
    after: tuple[int, str] = (0, "")
    while True:
        async with database.read() as session:
            # Primary key of git_pack.
            found = await session.scalars(
                select(Pack)
                .where(tuple_(Pack.store_id, Pack.id) > after, Pack.state == PackState.LIVE)
                .order_by(Pack.store_id, Pack.id)
                .limit(BATCH_ROWS)
            )
            packs = list(found)
        if not packs:
            return
        yield packs
        after = (packs[-1].store_id, packs[-1].id)


async def _is_missing(database: Database, storage: Storage, pack: Pack, key: str, size: int) -> bool:
    """Look once more: the pack may have been replaced and deleted, as it should, between two looks."""
    try:
        if (await storage.stat(key)).size == size:
            return False
    except StorageNotFound:
        pass
    async with database.read() as session:
        state = await session.scalar(select(Pack.state).where(Pack.store_id == pack.store_id, Pack.id == pack.id))
    return state == PackState.LIVE
