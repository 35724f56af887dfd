"""How large stores are: the bytes of the packs their manifests name, kept in ``git_store.pack_bytes``."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.database import Database
from cairn.git.models import ManifestEntry, Pack, Store
from cairn.git.store_state import lock_stores

_BATCH = 1000


async def read_sizes(session: AsyncSession, store_ids: Sequence[int]) -> dict[int, int]:
    """Return the bytes of all packs of each store; 0 for one without any."""
    # Primary key of git_store.
    rows = await session.execute(select(Store.id, Store.pack_bytes).where(Store.id.in_(store_ids)))
    found = {store_id: pack_bytes for store_id, pack_bytes in rows}  # noqa: C416 (a row is no tuple to the type checker)
    return {store_id: found.get(store_id, 0) for store_id in store_ids}


async def mend_sizes(database: Database) -> int:
    """Every store's ``pack_bytes`` is the sum of its packs; return how many were not.

    An older program that runs beside this one during an upgrade changes manifests without it.
    """
    mended = last = 0
    while True:
        async with database.read() as session:
            sizes = await _sums(session, after=last)
        if not sizes:
            return mended
        for store_id, (kept, total) in sizes.items():
            if kept != total:
                mended += await database.write_retrying(partial(_mend, store_id=store_id))
        last = max(sizes)


async def _mend(session: AsyncSession, *, store_id: int) -> bool:
    # The lock first: under MariaDB's snapshots a sum that was read before it could be older than the manifest.
    stores = await lock_stores(session, [store_id])
    [(kept, total)] = (await _sums(session, after=store_id - 1, limit=1)).values()
    stores[store_id].pack_bytes = total
    return kept != total


async def _sums(session: AsyncSession, *, after: int, limit: int = _BATCH) -> dict[int, tuple[int, int]]:
    """Return what the next stores' rows say, and the sum of their packs."""
    # Primary keys of git_store, git_manifest and git_pack.
    batch = select(Store.id, Store.pack_bytes).where(Store.id > after).order_by(Store.id).limit(limit).subquery()
    rows = await session.execute(
        select(batch.c.id, batch.c.pack_bytes, func.coalesce(func.sum(Pack.pack_bytes), 0))
        .outerjoin(ManifestEntry, ManifestEntry.store_id == batch.c.id)
        .outerjoin(Pack, (Pack.store_id == ManifestEntry.pack_store_id) & (Pack.id == ManifestEntry.pack_id))
        .group_by(batch.c.id, batch.c.pack_bytes)
    )
    return {store_id: (kept, int(total)) for store_id, kept, total in rows}
