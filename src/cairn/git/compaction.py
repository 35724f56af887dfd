"""Many small packs become few: a store that is pushed to often stays fast to clone, to fetch and to push to.

Every push lands as a pack of its own. Once a store has ``PACKS_MAX`` of them, the small ones are written into one new
pack of exactly their objects, uploaded like a push, and one transaction names the new pack and no longer the old ones.
Which packs: the rule of ``git repack --geometric=2``. Each pack left has at least twice the objects of all smaller ones
together, so an object is rewritten a logarithmic number of times however often people push.

Objects that no ref reaches are kept: dropping them by age is collection, a step of its own. Packs that arrive meanwhile
are not touched. The old packs are condemned, and ``condemned_packs`` deletes them when nobody can be reading them.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.fail_points import Step, fail_point
from cairn.git.indexes import carry_over
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState
from cairn.git.pack_files import UploadedPack, announce_upload, upload_pack
from cairn.git.pack_swap import Within, link_packs, read_own_packs, swap_packs, write_pack
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import IndexedPack, Quarantine, open_quarantine

PACKS_MAX = 30
"""From here on a store is compacted: git looks into each pack in turn, and a clone opens all of them."""

PACKS_AT_ONCE = 1000
"""Packs of one step; a store that was neglected takes several."""

BYTES_AT_ONCE = 16 << 30
"""Packs that are larger together are left as they are: rewriting them costs more than it gives."""

_FACTOR = 2
_log = get_logger(__name__)


class CompactionWrong(Exception):
    """Git wrote a pack that has not exactly the objects of its sources: a defect, so nothing is replaced."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one step did: so many packs became one of so many objects and bytes."""

    packs: int
    objects: int
    pack_bytes: int


@dataclass(frozen=True, slots=True)
class SourcePack:
    """A pack that a step may replace."""

    id: str
    objects: int
    pack_bytes: int


async def find_crowded(database: Database, *, pushed_within: timedelta | None = None) -> list[int]:
    """Return the stores with at least PACKS_MAX packs; of those only that got a pack within that time, if given."""
    async with database.read() as session:
        crowded = select(ManifestEntry.store_id).where(ManifestEntry.kind != ManifestKind.BASE)
        if pushed_within is not None:
            since = await database_now(session, plus=-pushed_within)
            # ix_git_pack_state_created_at, then the primary key of git_manifest.
            lately = select(Pack.store_id).where(Pack.state == PackState.LIVE, Pack.created_at >= since)
            crowded = crowded.where(ManifestEntry.store_id.in_(lately))
        crowded = crowded.group_by(ManifestEntry.store_id).having(func.count() >= PACKS_MAX)
        return list(await session.scalars(crowded))


async def compact(engine: Engine, store_id: int, *, within: Within | None = None) -> list[Compacted]:
    """The store has fewer than PACKS_MAX packs, or only such as grow geometrically; return what each step did.

    Errors: StoreGone, PackDamaged, UploadExpired, PacksReplaced, CompactionWrong, the storage's and the database's.
    After any of them the store has its old manifest or the new one.
    """
    steps: list[Compacted] = []
    while True:
        done = await compact_once(engine, store_id, packs_max=PACKS_MAX, within=within)
        if done is None:
            return steps
        steps.append(done)


async def compact_once(
    engine: Engine, store_id: int, *, packs_max: int, within: Within | None = None
) -> Compacted | None:
    """Replace the packs that the rule chooses by one; None if there are fewer than ``packs_max`` or none to choose."""
    chosen = await _choose(engine.database, store_id, packs_max)
    if not chosen:
        return None
    async with (
        engine.view(await engine.state(store_id)) as view,
        open_quarantine(engine.cache.quarantines) as quarantine,
    ):
        sources = [pack.id for pack in chosen]
        await asyncio.to_thread(link_packs, view, quarantine, sources)
        written = await combine_packs(engine, quarantine, sources)
        await fail_point(Step.COMPACTION_PACKED)
        upload = await announce_upload(engine.database, store_id, at=await engine.database.now())
        uploaded = await upload_pack(engine.storage, upload, written, adopt=engine.cache.adopt)
    await engine.database.write_retrying(lambda session: _swap(session, store_id, sources, uploaded, within))
    await fail_point(Step.COMPACTION_AFTER_COMMIT)
    _log.info("compacted", store_id=store_id, packs=len(sources), objects=uploaded.objects, bytes=uploaded.pack_bytes)
    return Compacted(len(sources), uploaded.objects, uploaded.pack_bytes)


def choose_packs(packs: Iterable[SourcePack]) -> list[SourcePack]:
    """Return the smallest packs that have to become one for the rest to grow geometrically; empty if they do already.

    At most PACKS_AT_ONCE packs and BYTES_AT_ONCE bytes, the smallest first.
    """
    ordered = sorted(packs, key=lambda pack: (pack.objects, pack.pack_bytes, pack.id))
    split = next(
        (
            place + 1
            for place in range(len(ordered) - 1, 0, -1)
            if ordered[place].objects < _FACTOR * ordered[place - 1].objects
        ),
        0,
    )
    objects = sum(pack.objects for pack in ordered[:split])
    while 0 < split < len(ordered) and ordered[split].objects < _FACTOR * objects:
        objects += ordered[split].objects
        split += 1
    return _bounded(ordered[:split])


def _bounded(packs: Sequence[SourcePack]) -> list[SourcePack]:
    kept: list[SourcePack] = []
    total = 0
    for pack in packs[:PACKS_AT_ONCE]:
        total += pack.pack_bytes
        if total > BYTES_AT_ONCE:
            break
        kept.append(pack)
    return kept if len(kept) > 1 else []


async def _choose(database: Database, store_id: int, packs_max: int) -> list[SourcePack]:
    """Return what to compact now."""
    packs = [SourcePack(pack.id, pack.objects, pack.pack_bytes) for pack in await read_own_packs(database, store_id)]
    return choose_packs(packs) if len(packs) >= packs_max else []


async def combine_packs(engine: Engine, quarantine: Quarantine, sources: Sequence[str]) -> IndexedPack:
    """Write one pack of exactly the objects of the linked source packs; every object was read back and compared."""
    names = "".join(f"pack-{pack_id}.pack\n" for pack_id in sources).encode("ascii")
    written = await write_pack(engine.runner, quarantine, "compacted", ("--stdin-packs",), names)
    if written is None:
        raise CompactionWrong(f"git found no object in {len(sources)} packs")
    indexes = [quarantine.packs / f"pack-{pack_id}.idx" for pack_id in sources]
    await asyncio.to_thread(_compare, written, indexes)
    return written


def _compare(written: IndexedPack, sources: Sequence[Path]) -> None:
    """Return if the new pack has the objects of its sources and no others; CompactionWrong otherwise. Blocks."""
    with PackIndex.open(written.path_idx) as index:
        is_wanted = bytearray(len(index))
        for source in sources:
            _mark_objects(source, index, is_wanted)
        if not all(is_wanted):
            raise CompactionWrong(f"the new pack has objects that none of its {len(sources)} sources has")


def _mark_objects(source: Path, index: PackIndex, is_wanted: bytearray) -> None:
    with PackIndex.open(source) as own:
        for oid in own.oids():
            place = index.position(bytes.fromhex(oid))
            if place is None:
                raise CompactionWrong(f"the new pack lacks {oid} of {source.name}")
            is_wanted[place] = 1


async def _swap(
    session: AsyncSession, store_id: int, sources: Sequence[str], uploaded: UploadedPack, within: Within | None
) -> None:
    await swap_packs(session, store_id, sources, uploaded, within=within)
    await carry_over(session, store_id, sources, uploaded.id)
    await fail_point(Step.COMPACTION_BEFORE_COMMIT)
