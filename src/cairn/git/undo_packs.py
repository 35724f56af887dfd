"""What collections dropped, for thirty days more: packs outside every manifest, that nothing reads but a restore.

An undo pack lies under ``undo/STORE/ID``, complete in itself. ``restore_writer`` copies from it: what it brings back is
packed and landed like any other change of a ref, so the store relies on no undo pack, whatever becomes of it.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import NotFound
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.cached_files import PackDamaged
from cairn.git.engine import Engine
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import UndoPack
from cairn.git.pack_files import UploadedPack, close_upload
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.staging import Write
from cairn.git.types import ZERO_OID, Oid, RefName
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

UNDO_KEPT = timedelta(days=30)
"""How long an operator can still have back what a collection dropped."""

BATCH_PACKS = 100


class NothingToRestore(NotFound):
    """No undo pack of the store has the object: it was never there, or its thirty days are over."""


def undo_key(store_id: int, pack_id: str) -> str:
    """Return the storage key of an undo pack without its ending."""
    return f"undo/{store_id}/{pack_id}"


async def enter_undo_pack(session: AsyncSession, store_id: int, pack: UploadedPack, *, at: datetime) -> None:
    """Close the upload and keep the pack for UNDO_KEPT; UploadExpired if the sweeper was first."""
    await close_upload(session, store_id, pack.id)
    await session.execute(
        insert(UndoPack).values(
            store_id=store_id,
            id=pack.id,
            key=pack.key,
            pack_bytes=pack.pack_bytes,
            index_bytes=pack.index_bytes,
            objects=pack.objects,
            pack_sha256=pack.pack_sha256,
            index_sha256=pack.index_sha256,
            created_at=at,
            expires_at=at + UNDO_KEPT,
        )
    )


async def list_undo_packs(database: Database, store_id: int) -> list[UndoPack]:
    """Return what can still be restored to a store, newest first."""
    async with database.read() as session:
        now = await database_now(session)
        found = await session.scalars(
            select(UndoPack)
            .where(UndoPack.store_id == store_id, UndoPack.expires_at > now)
            .order_by(UndoPack.created_at.desc(), UndoPack.id)
        )
        return list(found)


async def restore_writer(engine: Engine, store_id: int, oid: Oid, name: RefName) -> Write:
    """Return what ``engine.stage`` needs to create the ref ``name`` at an object that a collection dropped.

    Errors: NothingToRestore, and while staging PackDamaged and what a push of these objects could meet.
    """
    packs = await list_undo_packs(engine.database, store_id)

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        # All of them: a later collection may have dropped what an earlier one still needs.
        for pack in packs:
            await _fetch(engine.storage, pack, quarantine)
        if not await asyncio.to_thread(_has, quarantine, oid):
            raise NothingToRestore(f"no undo pack of this repository has object {oid}")
        return [RefUpdate(name, ZERO_OID, oid)]

    return write


async def expire_undo_packs(database: Database, storage: Storage) -> int:
    """No undo pack is left whose time is over, neither row nor bytes; return how many went. Safe to repeat.

    A restore that is reading one ends as it began or fails whole: it lands only what it has packed by then.
    """
    gone = 0
    while True:
        async with database.read() as session:
            now = await database_now(session)
            # ix_git_undo_pack_expires_at
            found = await session.scalars(
                select(UndoPack).where(UndoPack.expires_at <= now).order_by(UndoPack.expires_at).limit(BATCH_PACKS)
            )
            batch = list(found)
        await delete_undo_packs(database, storage, batch)
        gone += len(batch)
        if len(batch) < BATCH_PACKS:
            return gone


async def delete_undo_packs(database: Database, storage: Storage, packs: Sequence[UndoPack]) -> None:
    """The bytes of these undo packs are gone, then their rows: what dies between is taken up again."""
    for pack in packs:
        await storage.delete(f"{pack.key}.idx")
        await storage.delete(f"{pack.key}.pack")
    await fail_point(Step.UNDO_BYTES_DELETED)
    async with database.write() as session:
        for pack in packs:
            await session.execute(delete(UndoPack).where(UndoPack.store_id == pack.store_id, UndoPack.id == pack.id))


async def _fetch(storage: Storage, pack: UndoPack, quarantine: Quarantine) -> None:
    files = (("pack", pack.pack_bytes, pack.pack_sha256), ("idx", pack.index_bytes, pack.index_sha256))
    for ending, size, sha256 in files:
        try:
            found = await storage.download(f"{pack.key}.{ending}", quarantine.packs / f"pack-{pack.id}.{ending}")
        except StorageNotFound:
            raise PackDamaged(f"{pack.key}.{ending}") from None
        if (found.size, found.sha256) != (size, sha256):
            raise PackDamaged(f"{pack.key}.{ending}")


def _has(quarantine: Quarantine, oid: Oid) -> bool:
    for path in quarantine.packs.glob("*.idx"):
        with PackIndex.open(path) as index:
            if oid in index:
                return True
    return False
