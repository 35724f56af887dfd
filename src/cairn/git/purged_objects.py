"""The deny list: objects that were purged from a store never come back, whoever pushes or writes them."""

import asyncio

from cairn.base.errors import Conflict
from cairn.db.database import Database, PointQuery
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
