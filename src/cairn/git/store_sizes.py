"""How large stores are: the bytes of the packs their manifests name, for lists in one statement."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.git.models import ManifestEntry, Pack


async def read_sizes(session: AsyncSession, store_ids: Sequence[int]) -> dict[int, int]:
    """Return the bytes of all packs of each store; 0 for one without any."""
    # Primary keys of git_manifest and git_pack.
    rows = await session.execute(
        select(ManifestEntry.store_id, func.sum(Pack.pack_bytes))
        .join(Pack, (Pack.store_id == ManifestEntry.pack_store_id) & (Pack.id == ManifestEntry.pack_id))
        .where(ManifestEntry.store_id.in_(store_ids))
        .group_by(ManifestEntry.store_id)
    )
    found = {store_id: int(total) for store_id, total in rows}
    return {store_id: found.get(store_id, 0) for store_id in store_ids}
