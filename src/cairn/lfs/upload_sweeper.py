"""Takes back what uploads that never landed left in the object store, as ``git.upload_sweeper`` does for packs.

First a transaction makes the row expired, which a landing refuses; then the bytes go. The row stays for a day and its
key is deleted a second time: a node that was paused may have finished writing meanwhile.
"""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.upload_sweeper import LAST_LOOK, Sweep
from cairn.lfs.models import LfsUpload
from cairn.storage.storage import Storage

BATCH_ROWS = 200
BATCHES_MAX = 500


async def sweep_lfs_uploads(database: Database, storage: Storage) -> Sweep:
    """No open upload is past its time, and what expired ones wrote is deleted.

    Errors: the storage's, the database's. Safe to repeat and to run beside itself and uploads.
    """
    expired = removed = 0
    for _ in range(BATCHES_MAX):
        batch = await database.write_retrying(_expire)
        for upload in batch:
            await storage.delete(upload.key)
        expired += len(batch)
        if len(batch) < BATCH_ROWS:
            break
    for _ in range(BATCHES_MAX):
        batch = await _leftovers(database)
        for upload in batch:
            await storage.delete(upload.key)
            async with database.write() as session:
                await session.execute(
                    delete(LfsUpload).where(
                        LfsUpload.repository_id == upload.repository_id,
                        LfsUpload.id == upload.id,
                        LfsUpload.is_expired.is_(True),
                    )
                )
        removed += len(batch)
        if len(batch) < BATCH_ROWS:
            break
    return Sweep(expired, removed)


async def _expire(session: AsyncSession) -> list[LfsUpload]:
    now = await database_now(session)
    # ix_lfs_upload_is_expired_expires_at; locked in one order, so that two sweepers wait instead of deadlocking.
    found = await session.scalars(
        select(LfsUpload)
        .where(LfsUpload.is_expired.is_(False), LfsUpload.expires_at < now)
        .order_by(LfsUpload.expires_at, LfsUpload.repository_id, LfsUpload.id)
        .limit(BATCH_ROWS)
        .with_for_update()
    )
    uploads = list(found)
    for upload in uploads:
        upload.is_expired = True
    return uploads


async def _leftovers(database: Database) -> list[LfsUpload]:
    async with database.read() as session:
        before = await database_now(session, plus=-LAST_LOOK)
        found = await session.scalars(
            select(LfsUpload)
            .where(LfsUpload.is_expired.is_(True), LfsUpload.expires_at < before)
            .order_by(LfsUpload.expires_at)
            .limit(BATCH_ROWS)
        )
        return list(found)
