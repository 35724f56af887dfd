"""Which packs a store has: the manifest read in one statement together with the version it belongs to."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database, PointQuery
from cairn.git.cached_files import PackRow
from cairn.git.models import BaseTip, ManifestEntry, Pack, PackState, Store

# Primary keys of all three tables; the join keeps version and packs of one moment together.
_MANIFEST = PointQuery(
    "SELECT s.manifest_version, p.id, p.key, p.pack_bytes, p.index_bytes, p.pack_sha256, p.index_sha256 "
    "FROM git_store s LEFT JOIN git_manifest m ON m.store_id = s.id "
    "LEFT JOIN git_pack p ON p.store_id = m.pack_store_id AND p.id = m.pack_id WHERE s.id = :store"
)


class PackKey(NamedTuple):
    """Which pack: the store it was made for, and its id. In this order rows are locked."""

    store_id: int
    id: str


async def read_manifest(database: Database, store_id: int) -> tuple[int, list[PackRow]]:
    """Return the present manifest version and its packs; version 0 and no packs for a store without any."""
    rows = await database.fetch_all(_MANIFEST, store=store_id)
    packs = [
        PackRow(row["id"], row["key"], row["pack_bytes"], row["index_bytes"], row["pack_sha256"], row["index_sha256"])
        for row in rows
        if row["id"] is not None
    ]
    return (rows[0]["manifest_version"] if rows else 0), packs


async def drop_manifest(session: AsyncSession, store_id: int) -> None:
    """Take every pack out of the store's manifest and condemn those that no other manifest names."""
    await session.execute(delete(BaseTip).where(BaseTip.store_id == store_id))
    named = await session.execute(
        select(ManifestEntry.pack_store_id, ManifestEntry.pack_id).where(ManifestEntry.store_id == store_id)
    )
    await drop_entries(session, store_id, [PackKey(*row) for row in named])


async def drop_entries(session: AsyncSession, store_id: int, packs: Iterable[PackKey]) -> int:
    """Take these packs out of the store's manifest, condemn those that no other manifest names; return how many went.

    The pack rows are locked, in order, before anybody looks who else names them: whoever names a pack anew locks its
    row too.
    """
    now = await database_now(session)
    dropped = dropped_bytes = 0
    for pack in sorted(packs):
        is_pack = (Pack.store_id == pack.store_id) & (Pack.id == pack.id)
        named = (ManifestEntry.pack_store_id == pack.store_id) & (ManifestEntry.pack_id == pack.id)
        pack_bytes = await session.scalar(select(Pack.pack_bytes).where(is_pack).with_for_update()) or 0
        gone = await session.execute(
            delete(ManifestEntry)
            .where(ManifestEntry.store_id == store_id, named)
            .execution_options(synchronize_session=False)
        )
        assert isinstance(gone, CursorResult)
        dropped += gone.rowcount
        dropped_bytes += gone.rowcount * pack_bytes
        # ix_git_manifest_pack_store_id_pack_id
        if (await session.execute(select(ManifestEntry.store_id).where(named).limit(1))).first() is None:
            await session.execute(
                update(Pack)
                .where(is_pack)
                .values(state=PackState.CONDEMNED, condemned_at=now)
                .execution_options(synchronize_session=False)
            )
    # The session's copy of the row, where it has one, is changed too.
    await session.execute(update(Store).where(Store.id == store_id).values(pack_bytes=Store.pack_bytes - dropped_bytes))
    return dropped
