"""Deletes the bytes of packs that no manifest has named for so long that nobody can still be reading them.

RELIABILITY 1.3 E: first a transaction finds no manifest row and sets ``deleting``, a state from which no pack comes
back; then the bytes go; then the row. What dies between is taken up again by the next run.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import ManifestEntry, Pack, PackState
from cairn.git.pins import spared_by_a_pin
from cairn.storage.storage import Storage

CONDEMNED_KEPT = timedelta(hours=6)
"""The longest transfer: a node that began to read a manifest's packs has them by then, or has failed.

A backup that needs them for longer holds them back by a pin (``cairn.git.pins``).
"""

BATCH_PACKS = 100
BATCHES_MAX = 500


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one run gave back."""

    packs: int = 0
    pack_bytes: int = 0


async def delete_condemned(database: Database, storage: Storage) -> Deleted:
    """No pack that was condemned more than CONDEMNED_KEPT ago is left, neither row nor bytes; return what went.

    Errors: the storage's, the database's. Safe to repeat and to run beside itself.
    """
    packs = pack_bytes = 0
    for _ in range(BATCHES_MAX):
        marked = await database.write_retrying(_mark)
        batch = await _marked(database)
        if not batch:
            break
        if marked:
            await fail_point(Step.PACKS_MARKED)
        for pack in batch:
            await storage.delete(f"{pack.key}.idx")
            await storage.delete(f"{pack.key}.pack")
        await fail_point(Step.PACKS_BYTES_DELETED)
        await _remove(database, batch)
        packs += len(batch)
        pack_bytes += sum(pack.pack_bytes + pack.index_bytes for pack in batch)
    return Deleted(packs, pack_bytes)


async def _mark(session: AsyncSession) -> int:
    """Set ``deleting`` on a batch of packs whose time is over and that no manifest names; return how many."""
    before = await database_now(session, plus=-CONDEMNED_KEPT)
    named = exists().where(ManifestEntry.pack_store_id == Pack.store_id, ManifestEntry.pack_id == Pack.id)
    # ix_git_pack_state_created_at. Whoever would name a pack anew locks its row too, and only a live one may be named.
    found = await session.scalars(
        select(Pack)
        .where(
            Pack.state == PackState.CONDEMNED, Pack.condemned_at < before, ~named, ~spared_by_a_pin(Pack.condemned_at)
        )
        .order_by(Pack.store_id, Pack.id)
        .limit(BATCH_PACKS)
        .with_for_update()
    )
    packs = list(found)
    for pack in packs:
        pack.state = PackState.DELETING
    return len(packs)


async def _marked(database: Database) -> list[Pack]:
    async with database.read() as session:
        found = await session.scalars(
            select(Pack).where(Pack.state == PackState.DELETING).order_by(Pack.created_at).limit(BATCH_PACKS)
        )
        return list(found)


async def _remove(database: Database, packs: list[Pack]) -> None:
    async with database.write() as session:
        for pack in packs:
            await session.execute(
                delete(Pack).where(Pack.store_id == pack.store_id, Pack.id == pack.id, Pack.state == PackState.DELETING)
            )
