"""What a restore still owes once the rows are there: the deny list, the hold on deletions, what was lost meanwhile."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.record import record
from cairn.base.actor import SYSTEM
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.models import BucketComparison, Pack, Upload
from cairn.ops.backup.create import Progress, Tell, say_nothing
from cairn.ops.backup.denials import enter_denials, read_denials
from cairn.ops.backup.restore import Choices, Restored
from cairn.ops.backup.target import BackupTarget
from cairn.storage.storage import Storage

ACTION = "backup.restored"


@dataclass(frozen=True, slots=True)
class LostPacks:
    """Packs of a store that lie in the object store and that no restored row names: what came after the backup."""

    store_id: int
    packs: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Finished:
    """What was found while finishing: how many objects were purged again, and what came after the backup."""

    purged: int
    lost: list[LostPacks]


async def finish_restore(
    engine: Engine, target: BackupTarget, restored: Restored, choices: Choices, *, tell: Tell = say_nothing
) -> Finished:
    """Leave nothing in the restored installation that was purged, and hold deletions back until an operator looked.

    Runs before any program may use the database. Errors: the engine's, the stores' Unavailable.
    """
    database = engine.database
    tell(Progress("applying the deny list"))
    purged = await _purge_again(engine, target)
    lost = await lost_packs(database, engine.storage) if choices.is_bucket_kept else []
    manifest = restored.manifest
    async with database.write() as session:
        await _set_hold(session, f"restored {manifest.id}, the state of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC")
        record(
            session,
            SYSTEM,
            ACTION,
            manifest.id,
            details={
                "taken_at": manifest.taken_at.isoformat(),
                "origin": manifest.origin,
                "missing": str(len(restored.missing)),
                "purged_again": str(purged),
            },
        )
    return Finished(purged, lost)


async def _purge_again(engine: Engine, target: BackupTarget) -> int:
    """Purge what the target's deny list names and the restored stores have again; return how many objects."""
    purged: Mapping[int, set[str]] = await enter_denials(engine.database, await read_denials(target))
    again = 0
    for store_id, oids in sorted(purged.items()):
        again += len(oids)
        raise NotImplementedError(store_id)
    return again


async def lost_packs(database: Database, storage: Storage) -> list[LostPacks]:
    """Return, by store, the packs in the object store that no row names."""
    found: dict[int, list[datetime | None]] = defaultdict(list)
    async for entry in storage.list("packs"):
        folder, ending = entry.key.rsplit("/", 1)
        store = folder.removeprefix("packs/")
        if ending.endswith(".pack") and store.isdecimal() and not await _is_named(database, entry.key):
            found[int(store)].append(entry.modified_at)
    return [_summary(store, times) for store, times in sorted(found.items())]


async def _is_named(database: Database, key: str) -> bool:
    store_id, pack_id = key.removeprefix("packs/").removesuffix(".pack").split("/")[:2]
    async with database.read() as session:
        # Primary keys of git_pack and git_upload.
        for model in (Pack, Upload):
            if await session.scalar(select(model.id).where(model.store_id == int(store_id), model.id == pack_id)):
                return True
    return False


def _summary(store_id: int, times: list[datetime | None]) -> LostPacks:
    known = sorted(time for time in times if time is not None)
    return LostPacks(store_id, len(times), known[0] if known else None, known[-1] if known else None)


async def _set_hold(session: AsyncSession, reason: str) -> None:
    row = await session.get(BucketComparison, 1)
    if row is None:
        row = BucketComparison(id=1, missing=0, unknown=0)
        session.add(row)
    row.held_at, row.hold_reason = await database_now(session), reason
