"""Deletes bytes that no repository has, in two steps, as packs go: condemned first, deleted six hours later.

A condemned blob that somebody sends again meanwhile comes back. From ``deleting`` none does: who sends it then brings
bytes under a key of their own, and the row is theirs.
"""

from datetime import timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.condemned_packs import CONDEMNED_KEPT, Deleted
from cairn.git.pins import spared_by_a_pin
from cairn.lfs.models import BlobState, LfsBlob, LfsObject
from cairn.storage.storage import Storage

BATCH_BLOBS = 200
BATCHES_MAX = 500
_NAMED = exists().where(LfsObject.oid == LfsBlob.sha256)  # ix_lfs_object_oid


async def condemn_unnamed(database: Database) -> int:
    """Every blob that no repository has is condemned; one that was and has an owner again is live. Return how many."""
    condemned, after = 0, ""
    while True:
        async with database.write() as session:
            # Primary key of lfs_blob, a batch at a time.
            ids = list(
                await session.scalars(
                    select(LfsBlob.sha256).where(LfsBlob.sha256 > after).order_by(LfsBlob.sha256).limit(BATCH_BLOBS)
                )
            )
            if not ids:
                return condemned
            condemned += await _condemn(session, ids)
        after = ids[-1]


async def delete_condemned_blobs(database: Database, storage: Storage, *, kept: timedelta = CONDEMNED_KEPT) -> Deleted:
    """No blob that was condemned longer ago is left, neither row nor bytes; return what went, as ``packs``.

    Errors: the storage's, the database's. Safe to repeat and to run beside itself.
    """
    blobs = blob_bytes = 0
    for _ in range(BATCHES_MAX):

        async def mark(session: AsyncSession) -> int:
            return await _mark(session, kept)

        await database.write_retrying(mark)
        async with database.read() as session:
            found = select(LfsBlob).where(LfsBlob.state == BlobState.DELETING).limit(BATCH_BLOBS)
            batch = list(await session.scalars(found))
        if not batch:
            break
        for blob in batch:
            await storage.delete(blob.key)
            async with database.write() as session:
                await session.execute(
                    delete(LfsBlob).where(
                        LfsBlob.sha256 == blob.sha256, LfsBlob.key == blob.key, LfsBlob.state == BlobState.DELETING
                    )
                )
        blobs += len(batch)
        blob_bytes += sum(blob.size for blob in batch)
    return Deleted(blobs, blob_bytes)


async def _condemn(session: AsyncSession, ids: list[str]) -> int:
    at = await database_now(session)
    of_these = LfsBlob.sha256.in_(ids)
    await session.execute(
        update(LfsBlob)
        .where(of_these, LfsBlob.state == BlobState.CONDEMNED, _NAMED)
        .values(state=BlobState.LIVE, condemned_at=None)
        .execution_options(synchronize_session=False)
    )
    rows = await session.scalars(
        select(LfsBlob.sha256).where(of_these, LfsBlob.state == BlobState.LIVE, ~_NAMED).with_for_update()
    )
    found = list(rows)
    if found:
        await session.execute(
            update(LfsBlob)
            .where(LfsBlob.sha256.in_(found), LfsBlob.state == BlobState.LIVE)
            .values(state=BlobState.CONDEMNED, condemned_at=at)
            .execution_options(synchronize_session=False)
        )
    return len(found)


async def _mark(session: AsyncSession, kept: timedelta) -> int:
    """Set ``deleting`` on blobs whose time is over and that still no repository has."""
    before = await database_now(session, plus=-kept)
    # ix_lfs_blob_state_condemned_at. Who gives a blob to a repository locks its row too and makes it live.
    found = await session.scalars(
        select(LfsBlob)
        .where(
            LfsBlob.state == BlobState.CONDEMNED,
            LfsBlob.condemned_at < before,
            ~_NAMED,
            ~spared_by_a_pin(LfsBlob.condemned_at),
        )
        .order_by(LfsBlob.sha256)
        .limit(BATCH_BLOBS)
        .with_for_update()
    )
    blobs = list(found)
    for blob in blobs:
        blob.state = BlobState.DELETING
    return len(blobs)
