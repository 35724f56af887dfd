"""The bytes of releases' files after their time: uploads that never landed, files that were deleted, strays.

As packs go: condemned first, deleted hours later unless a backup's pin holds them; and a key is deleted twice, because
a node that was paused may have finished writing meanwhile.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from sqlalchemy import and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.bucket_comparison import BATCH_ROWS, OLD, Comparison, delete_unless_held
from cairn.git.condemned_packs import CONDEMNED_KEPT, Deleted
from cairn.git.pins import spared_by_a_pin
from cairn.git.upload_sweeper import LAST_LOOK
from cairn.repositories.releases.assets import PREFIX
from cairn.repositories.releases.models import FileState, ReleaseAsset, ReleaseFile
from cairn.storage.errors import StorageNotFound
from cairn.storage.listing import ObjectStat
from cairn.storage.storage import Storage

BATCH_FILES = 200
BATCHES_MAX = 500
_TOLD_MAX = 20
_NAMED = exists().where(
    ReleaseAsset.repository_id == ReleaseFile.repository_id, ReleaseAsset.file_id == ReleaseFile.id
)  # uq_release_asset_repository_id_file_id


async def delete_files(
    database: Database, storage: Storage, *, kept: timedelta = CONDEMNED_KEPT, last_look: timedelta = LAST_LOOK
) -> Deleted:
    """Files that no release has are condemned; uploads past their time and what was condemned longer ago are deleted.

    Return what went, as ``packs``. Errors: the storage's, the database's. Safe to repeat and to run beside itself.
    """
    await _condemn(database)
    files = file_bytes = 0
    for _ in range(BATCHES_MAX):

        async def mark(session: AsyncSession) -> list[ReleaseFile]:
            return await _mark(session, kept)

        batch = await database.write_retrying(mark)
        for file in batch:
            await storage.delete(file.announced_key)
        files += len(batch)
        file_bytes += sum(file.size or 0 for file in batch)
        if len(batch) < BATCH_FILES:
            break
    await _drop(database, storage, last_look)
    return Deleted(files, file_bytes)


async def _condemn(database: Database) -> None:
    for _ in range(BATCHES_MAX):
        async with database.read() as session:
            # One look through what is live; nothing is written where nothing is to be.
            found = await session.execute(
                select(ReleaseFile.repository_id, ReleaseFile.id)
                .where(ReleaseFile.state == FileState.LIVE, ~_NAMED)
                .limit(BATCH_FILES)
            )
            unnamed = [(repository_id, file_id) for repository_id, file_id in found]
        if unnamed:
            async with database.write() as session:
                await session.execute(
                    update(ReleaseFile)
                    .where(
                        ReleaseFile.repository_id.in_({repository_id for repository_id, _ in unnamed}),
                        ReleaseFile.id.in_([file_id for _, file_id in unnamed]),
                        ReleaseFile.state == FileState.LIVE,
                        ~_NAMED,
                    )
                    .values(state=FileState.CONDEMNED, since=await database_now(session))
                    .execution_options(synchronize_session=False)
                )
        if len(unnamed) < BATCH_FILES:
            return


async def _mark(session: AsyncSession, kept: timedelta) -> list[ReleaseFile]:
    """Set ``deleting`` on what is over: nothing is named by it any more, so nothing brings it back."""
    at, before = await database_now(session), await database_now(session, plus=-kept)
    # ix_release_file_state_since; locked in one order, so that two workers wait instead of deadlocking.
    found = await session.scalars(
        select(ReleaseFile)
        .where(
            or_(
                and_(ReleaseFile.state == FileState.OPEN, ReleaseFile.since < at),
                and_(
                    ReleaseFile.state == FileState.CONDEMNED,
                    ReleaseFile.since < before,
                    ~spared_by_a_pin(ReleaseFile.since),
                ),
            )
        )
        .order_by(ReleaseFile.repository_id, ReleaseFile.id)
        .limit(BATCH_FILES)
        .with_for_update()
    )
    files = list(found)
    for file in files:
        file.state, file.since, file.key = FileState.DELETING, at, None
    return files


async def _drop(database: Database, storage: Storage, last_look: timedelta) -> None:
    """Delete once more what was deleted long enough ago, and its rows."""
    for _ in range(BATCHES_MAX):
        async with database.read() as session:
            before = await database_now(session, plus=-last_look)
            found = select(ReleaseFile).where(ReleaseFile.state == FileState.DELETING, ReleaseFile.since < before)
            batch = list(await session.scalars(found.limit(BATCH_FILES)))
        for file in batch:
            await storage.delete(file.announced_key)
            async with database.write() as session:
                of_this = (ReleaseFile.repository_id == file.repository_id, ReleaseFile.id == file.id)
                await session.execute(delete(ReleaseFile).where(*of_this, ReleaseFile.state == FileState.DELETING))
        if len(batch) < BATCH_FILES:
            return


async def compare_release_files(database: Database, storage: Storage) -> Comparison:
    """Compare the folder of releases' files with the tables both ways, as a part of ``git.bucket_comparison``.

    What no row announced and is old is deleted unless held. Errors: the storage's, the database's.
    """
    before, unknown, deleted = await database.now() - OLD, list[str](), 0
    async for batch in listed_files(storage):
        old = [entry.key for entry in batch if entry.modified_at is not None and entry.modified_at < before]
        strays = await unannounced(database, old)
        unknown += strays
        deleted += await delete_unless_held(database, storage, strays)
    missing = [key async for key in _missing(database, storage)]
    return Comparison(len(missing), len(unknown), deleted, tuple(missing[:_TOLD_MAX]), tuple(unknown[:_TOLD_MAX]))


async def listed_files(storage: Storage) -> AsyncIterator[list[ObjectStat]]:
    """Yield what is in the folder of releases' files, some hundred at a time."""
    batch: list[ObjectStat] = []
    async for entry in storage.list(PREFIX):
        batch.append(entry)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    yield batch


async def unannounced(database: Database, keys: Sequence[str]) -> list[str]:
    """Return those of some listed keys that no row announced.

    The rows are read after the keys: an announced key is never unknown.
    """
    async with database.read() as session:
        # uq_release_file_announced_key
        found = await session.scalars(select(ReleaseFile.announced_key).where(ReleaseFile.announced_key.in_(keys)))
        known = set(found)
    return [key for key in keys if key not in known]


async def _missing(database: Database, storage: Storage) -> AsyncIterator[str]:
    """Yield the keys of files that must be there and are not, or have another size."""
    repository_id, file_id = 0, ""
    while True:
        # Primary key of release_file.
        further = and_(ReleaseFile.repository_id == repository_id, ReleaseFile.id > file_id)
        async with database.read() as session:
            found = select(ReleaseFile).where(
                ReleaseFile.repository_id >= repository_id,
                or_(ReleaseFile.repository_id > repository_id, further),
                ReleaseFile.state == FileState.LIVE,
            )
            ordered = found.order_by(ReleaseFile.repository_id, ReleaseFile.id)
            batch = list(await session.scalars(ordered.limit(BATCH_ROWS)))
        for file in batch:
            if not await _is_stored(storage, file) and await _is_still_live(database, file):
                yield file.announced_key
        if len(batch) < BATCH_ROWS:
            return
        repository_id, file_id = batch[-1].repository_id, batch[-1].id


async def _is_stored(storage: Storage, file: ReleaseFile) -> bool:
    try:
        return (await storage.stat(file.announced_key)).size == file.size
    except StorageNotFound:
        return False


async def _is_still_live(database: Database, file: ReleaseFile) -> bool:
    async with database.read() as session:
        now = await session.get(ReleaseFile, (file.repository_id, file.id))
    return now is not None and now.state is FileState.LIVE
