"""The deny list: objects that were purged from a store never come back, whoever pushes or writes them."""

import asyncio

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict
from cairn.db.database import Database, PointQuery
from cairn.git.models import PurgedObject, Store
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import IndexedPack
from cairn.git.types import Oid

# Primary key of git_purged_object; for nearly every store it has no row.
_PURGED = PointQuery("SELECT oid FROM git_purged_object WHERE store_id = :store")


class ObjectPurged(Conflict):
    """A push or an edit would bring back an object that an administrator had removed for good."""

    def __init__(self, oid: Oid) -> None:
        super().__init__(
            f"object {oid} was purged from this repository by an administrator; rewrite the history without it"
        )
        self.oid = oid


async def read_purged(database: Database, store_id: int) -> frozenset[Oid]:
    """Return the objects that were purged from a store."""
    rows = await database.fetch_all(_PURGED, store=store_id)
    return frozenset(Oid(row["oid"]) for row in rows)


async def inherit_purged(session: AsyncSession, *, source_id: int, target: Store) -> None:
    """What was purged from the source is refused by the target too: a fork must not bring back a leaked secret.

    A purge covers the forks there are; this is for those that come later. Plans for the target that were staged before
    cannot land. The caller holds the target: by its lock, or because it is new.
    """
    # Primary key of git_purged_object.
    of_source = select(PurgedObject.oid, PurgedObject.at).where(PurgedObject.store_id == source_id)
    denied = set(await session.scalars(select(PurgedObject.oid).where(PurgedObject.store_id == target.id)))
    new = [
        {"store_id": target.id, "oid": oid, "at": at}
        for oid, at in await session.execute(of_source)
        if oid not in denied
    ]
    if new:
        await session.execute(insert(PurgedObject), new)
        target.cache_epoch += 1


async def refuse_purged(database: Database, store_id: int, pack: IndexedPack) -> None:
    """Return if the pack holds nothing that was purged from the store; ObjectPurged names what it holds."""
    purged = await read_purged(database, store_id)
    if purged:
        found = await asyncio.to_thread(_find, pack, purged)
        if found is not None:
            raise ObjectPurged(found)


def _find(pack: IndexedPack, purged: frozenset[Oid]) -> Oid | None:
    with PackIndex.open(pack.path_idx) as index:
        return min((oid for oid in purged if oid in index), default=None)
