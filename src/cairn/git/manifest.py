"""Which packs a store has: the manifest read in one statement together with the version it belongs to."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database, PointQuery
from cairn.git.cached_files import PackRow
from cairn.git.models import ManifestEntry, Pack, PackState

# Primary keys of all three tables; the join keeps version and packs of one moment together.
_MANIFEST = PointQuery(
    "SELECT s.manifest_version, p.id, p.key, p.pack_bytes, p.index_bytes, p.pack_sha256, p.index_sha256 "
    "FROM git_store s LEFT JOIN git_manifest m ON m.store_id = s.id "
    "LEFT JOIN git_pack p ON p.store_id = m.pack_store_id AND p.id = m.pack_id WHERE s.id = :store"
)


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
    """Take every pack out of the store's manifest and condemn those that no other manifest names.

    The pack rows are locked before anybody looks who else names them: whoever names a pack anew locks its row too.
    """
    named = await session.execute(
        select(ManifestEntry)
        .where(ManifestEntry.store_id == store_id)
        .order_by(ManifestEntry.pack_store_id, ManifestEntry.pack_id)
        .with_for_update()
    )
    entries = list(named.scalars())
    now = await database_now(session)
    for entry in entries:
        await session.execute(
            select(Pack.id).where(Pack.store_id == entry.pack_store_id, Pack.id == entry.pack_id).with_for_update()
        )
        await session.delete(entry)
    await session.flush()
    for entry in entries:
        # ix_git_manifest_pack_store_id_pack_id
        still_named = await session.execute(
            select(ManifestEntry.store_id)
            .where(ManifestEntry.pack_store_id == entry.pack_store_id, ManifestEntry.pack_id == entry.pack_id)
            .limit(1)
        )
        if still_named.first() is None:
            await session.execute(
                update(Pack)
                .where(Pack.store_id == entry.pack_store_id, Pack.id == entry.pack_id)
                .values(state=PackState.CONDEMNED, condemned_at=now)
            )
