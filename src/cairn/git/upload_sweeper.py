"""Takes back what uploads that never landed left in the object store.

First a transaction makes the row ``expired``, which only an ``open`` row can become; a landing closes only an open
row. So one of the two wins, and bytes are deleted only where no landing can succeed any more.

The row stays for a day after its expiry and its keys are deleted a second time then: a client's node that was paused in
the middle of its upload may have finished writing after the first deletion, and nothing else knows these keys.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import Upload, UploadState
from cairn.storage.storage import Storage

LAST_LOOK = timedelta(days=1)
"""How long an expired row outlives its expiry: longer than any upload that was under way can still take."""

CLOSED_KEPT = timedelta(days=7)
"""How long a closed row is kept, to be looked at when somebody asks what became of a push."""

BATCH_ROWS = 200
BATCHES_MAX = 500
"""One sweep ends after so many batches; the next one goes on."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did: rows that became expired, rows that are gone."""

    expired: int = 0
    removed: int = 0


async def sweep_uploads(database: Database, storage: Storage, *, store_id: int | None = None) -> Sweep:
    """No open upload is past its time, and what expired ones wrote is deleted; of one store, or of all.

    Errors: the storage's, the database's. Safe to repeat and to run beside itself, pushes and compaction.
    """
    expired = removed = 0
    for _ in range(BATCHES_MAX):
        batch = await _expire(database, store_id)
        await fail_point(Step.UPLOADS_EXPIRED)
        await _delete_keys(storage, batch)
        expired += len(batch)
        if len(batch) < BATCH_ROWS:
            break
    for _ in range(BATCHES_MAX):
        batch = await _leftovers(database, store_id)
        await _delete_keys(storage, batch)
        await _remove(database, batch)
        removed += len(batch)
        if len(batch) < BATCH_ROWS:
            break
    return Sweep(expired, removed + await _remove_closed(database, store_id))


async def delete_expired_keys(database: Database, storage: Storage, store_id: int) -> None:
    """Nothing that an expired upload of the store names is in the object store now; the rows stay for their day."""
    async with database.read() as session:
        found = await session.scalars(
            select(Upload).where(Upload.store_id == store_id, Upload.state == UploadState.EXPIRED)
        )
        uploads = list(found)
    await _delete_keys(storage, uploads)


async def _expire(database: Database, store_id: int | None) -> list[Upload]:
    """Commit up to BATCH_ROWS rows as expired and return those that this call changed."""

    async def change(session: AsyncSession) -> list[Upload]:
        now = await database_now(session)
        # ix_git_upload_state_expires_at; locked in one order, so that two sweepers wait instead of deadlocking.
        found = await session.scalars(
            select(Upload)
            .where(Upload.state == UploadState.OPEN, Upload.expires_at < now, _of(store_id))
            .order_by(Upload.expires_at, Upload.store_id, Upload.id)
            .limit(BATCH_ROWS)
            .with_for_update()
        )
        # Locked: a landing that was faster has changed the state, and its row is not among these.
        uploads = list(found)
        for upload in uploads:
            upload.state = UploadState.EXPIRED
        return uploads

    return await database.write_retrying(change)


async def _leftovers(database: Database, store_id: int | None) -> list[Upload]:
    async with database.read() as session:
        before = await database_now(session, plus=-LAST_LOOK)
        found = await session.scalars(
            select(Upload)
            .where(Upload.state == UploadState.EXPIRED, Upload.expires_at < before, _of(store_id))
            .order_by(Upload.expires_at)
            .limit(BATCH_ROWS)
        )
        return list(found)


async def _delete_keys(storage: Storage, uploads: list[Upload]) -> None:
    for upload in uploads:
        for key in upload.keys:
            await storage.delete(key)


async def _remove(database: Database, uploads: list[Upload]) -> None:
    if not uploads:
        return
    names = [(upload.store_id, upload.id) for upload in uploads]
    async with database.write() as session:
        await session.execute(
            delete(Upload).where(tuple_(Upload.store_id, Upload.id).in_(names), Upload.state != UploadState.OPEN)
        )


async def _remove_closed(database: Database, store_id: int | None) -> int:
    removed = 0
    for _ in range(BATCHES_MAX):
        async with database.read() as session:
            before = await database_now(session, plus=-CLOSED_KEPT)
            found = await session.scalars(
                select(Upload)
                .where(Upload.state == UploadState.CLOSED, Upload.expires_at < before, _of(store_id))
                .order_by(Upload.expires_at)
                .limit(BATCH_ROWS)
            )
            batch = list(found)
        await _remove(database, batch)
        removed += len(batch)
        if len(batch) < BATCH_ROWS:
            break
    return removed


def _of(store_id: int | None) -> ColumnElement[bool]:
    return true() if store_id is None else Upload.store_id == store_id
