"""What a restore still owes once the rows are there: the deny list, the hold on deletions, what was lost meanwhile."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.record import record
from cairn.base.actor import SYSTEM
from cairn.base.ids import random_id
from cairn.db.database import Database
from cairn.git.bucket_comparison import hold
from cairn.git.engine import Engine
from cairn.git.models import Pack, Upload
from cairn.git.purge import OBJECTS_MAX, StillReachable, purge
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid, RefName, show
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
    dropped: list[tuple[int, RefName]]
    """Refs, with their stores, whose values of the backup's time reach something that was purged since."""
    lost: list[LostPacks]


async def finish_restore(
    engine: Engine, target: BackupTarget, restored: Restored, choices: Choices, *, tell: Tell = say_nothing
) -> Finished:
    """Leave nothing in the restored installation that was purged, and hold deletions back until an operator looked.

    Runs before any program may use the database. Errors: the engine's, the stores' Unavailable.
    """
    database = engine.database
    tell(Progress("applying the deny list"))
    purged, dropped = await _purge_again(engine, target)
    lost = await lost_packs(database, engine.storage) if choices.is_bucket_kept else []
    manifest = restored.manifest
    async with database.write() as session:
        await hold(session, reason=f"restored {manifest.id}, the state of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC")
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
                "refs_dropped": ", ".join(f"{store_id}:{show(name)}" for store_id, name in dropped),
            },
        )
    return Finished(purged, dropped, lost)


async def _purge_again(engine: Engine, target: BackupTarget) -> tuple[int, list[tuple[int, RefName]]]:
    """Purge what the target's deny list names; return how many objects that were, and the refs that went with them."""
    again, dropped = 0, list[tuple[int, RefName]]()
    denied = await enter_denials(engine.database, await read_denials(target))
    for store_id, oids in sorted(denied.items()):
        ordered = [Oid(oid) for oid in sorted(oids)]
        again += len(ordered)
        for start in range(0, len(ordered), OBJECTS_MAX):
            dropped += await _purge(engine, store_id, ordered[start : start + OBJECTS_MAX])
    return again, dropped


async def _purge(engine: Engine, store_id: int, oids: Sequence[Oid]) -> list[tuple[int, RefName]]:
    """Purge objects for good. A ref of the backup's time that still reaches one goes: it was rewritten since."""
    dropped: list[tuple[int, RefName]] = []
    while True:
        try:
            await purge(engine, [store_id], oids, within=_nothing_more)
        except StillReachable as error:
            for holder, refs in groupby(sorted(error.refs), key=itemgetter(0)):
                await _drop_refs(engine, holder, {name for _, name in refs})
            dropped += error.refs
            continue
        return dropped


async def _drop_refs(engine: Engine, store_id: int, names: set[RefName]) -> None:
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    updates = tuple(RefUpdate(ref.name, ref.oid, ZERO_OID) for ref in snapshot.refs if ref.name in names)
    staged = await engine.stager.stage_deletions(state, updates, is_atomic=True)
    await engine.land(staged, push_id=random_id(), actor=SYSTEM.label, within=_refuse_nothing)


async def _nothing_more(session: AsyncSession) -> None:
    """The restore itself is recorded when it is done."""


async def _refuse_nothing(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
    return {}


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
