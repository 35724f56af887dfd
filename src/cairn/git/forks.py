"""Forks share packs by naming them: base packs, of which every object was open to all readers of the parent.

``cut_base`` makes the parent's base complete for what its open refs reach: once the whole of it, later only what the
base lacks. ``share_base`` lets a fork's manifest name these packs. The packs are never rewritten, and compaction leaves
them alone, so fifty forks cost one copy. ``make_own`` ends it: the store gets packs that nobody else names.

Base packs are closed: what an object in them reaches is in them too. ``git_base_tip`` has the tips they were cut for,
so whether a fork can be made at once is a question to the database alone. Later pushes to the parent are in no fork's
manifest, there are no alternates, and what lies in a shared pack is served only to who reaches it from the fork's own
refs, as everywhere (RELIABILITY 1.3 A, P-5).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.base.errors import Conflict
from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.git.compaction import SourcePack, choose_packs, combine_packs
from cairn.git.engine import Engine
from cairn.git.fail_points import Step, fail_point
from cairn.git.manifest import PackKey, drop_entries
from cairn.git.models import BaseTip, ManifestEntry, ManifestKind, Pack, PackState, PurgedObject
from cairn.git.pack_files import UploadedPack, announce_upload, enter_manifest, upload_pack
from cairn.git.pack_swap import PacksReplaced, Within, link_packs, packs_in, read_own_packs, write_pack
from cairn.git.packfile import PackIndex
from cairn.git.purged_objects import inherit_purged
from cairn.git.quarantine import IndexedPack, Quarantine, open_quarantine
from cairn.git.ref_queries import RefSnapshot, RefValue
from cairn.git.store_state import lock_stores
from cairn.git.types import Oid, RefName

ATTEMPTS = 5
"""How often a cut begins anew because the packs it read were replaced meanwhile."""

BASES_MAX = 20
"""From here on a store's base packs become fewer, the small ones first; forks follow when they sync."""

_BATCH = 500
_log = get_logger(__name__)

IsOpen = Callable[[RefName], bool]
"""Tells which refs every reader of the store may see; the others stay out of base packs."""


class CutStep(StrEnum):
    """How far a cut is."""

    PACKING = "packing"
    STORING = "storing"


Progress = Callable[[CutStep], Awaitable[None]]


class BaseMoved(Conflict):
    """The base packs are not, or no longer, complete for what was to be shared; cut them and try again."""

    def __init__(self) -> None:
        super().__init__("the repository that was to be shared changed meanwhile; try again")


@dataclass(frozen=True, slots=True)
class Base:
    """A store's base at one moment: packs that its manifest names, and the tips they are complete for."""

    packs: frozenset[PackKey]
    tips: frozenset[Oid]


@dataclass(frozen=True, slots=True)
class Cut:
    """What a cut did: bytes of the new base pack, bytes of what was left over, how many packs the two replaced."""

    base_bytes: int
    rest_bytes: int
    replaced: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """A cut that was prepared: new ``tips`` upon ``base``, packs in the object store, the packs they replace."""

    base: Base
    tips: list[Oid]
    cache_epoch: int
    cut: UploadedPack | None = None
    rest: UploadedPack | None = None
    replaced: tuple[str, ...] = ()


def is_branch_or_tag(name: RefName) -> bool:
    """Tell whether a ref is a branch or a tag: what every reader of a repository sees."""
    return name.startswith((b"refs/heads/", b"refs/tags/"))


def open_refs(snapshot: RefSnapshot, is_open: IsOpen = is_branch_or_tag) -> list[RefValue]:
    """Return the refs that every reader may see."""
    return [ref for ref in snapshot.refs if is_open(ref.name)]


async def read_base(session: AsyncSession, store_id: int, *, locked: bool = True) -> Base:
    """Return the store's base. ``locked``: the caller holds the store, so packs and tips belong together."""
    # Primary keys of git_manifest and git_base_tip.
    packs = select(ManifestEntry.pack_store_id, ManifestEntry.pack_id).where(
        ManifestEntry.store_id == store_id, ManifestEntry.kind == ManifestKind.BASE
    )
    # A locking read: under MariaDB's snapshots a plain one could be older than the lock on the store.
    rows = await session.execute(packs.with_for_update(read=True) if locked else packs)
    tips = select(BaseTip.oid).where(BaseTip.store_id == store_id)
    oids = await session.scalars(tips.with_for_update(read=True) if locked else tips)
    return Base(frozenset(PackKey(*row) for row in rows), frozenset(Oid(oid) for oid in oids))


async def is_covered(session: AsyncSession, store_id: int, oids: Collection[Oid]) -> bool:
    """Tell whether the store's base packs were cut for all these objects; its answer may be old once it is read."""
    tips = await session.scalars(select(BaseTip.oid).where(BaseTip.store_id == store_id))
    return set(oids) <= set(tips)


async def cut_base(
    engine: Engine,
    store_id: int,
    *,
    is_open: IsOpen = is_branch_or_tag,
    within: Within | None = None,
    progress: Progress | None = None,
) -> Cut | None:
    """The store's base packs hold what its open refs reach now; None if they did already.

    The store's own manifest names the new base pack instead of the packs it takes objects from; what else those had
    moves to a pack of its own. Errors: StoreGone, PackDamaged, UploadExpired, PacksReplaced and BaseMoved (after
    ATTEMPTS), the storage's and the database's. After any of them the store has its old manifest or the new one.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            done = await _cut(engine, store_id, is_open, within, progress)
            if done is not None:
                await _consolidate(engine, store_id, within)
            return done
        except (PacksReplaced, BaseMoved):
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


async def share_base(session: AsyncSession, *, source_id: int, target_id: int, oids: Collection[Oid]) -> int:
    """The target's manifest names every base pack of the source, complete for ``oids``; return how many are new.

    The caller's transaction holds the target's lock; this one takes the source's too, so that its base stands still.
    Packs that the source replaced by fewer are named no longer, if its base has all that they hold; what was purged
    from the source the target refuses too.
    Errors: BaseMoved if the base is not complete for them, StoreGone.
    """
    locked = await lock_stores(session, sorted({source_id, target_id}))
    await inherit_purged(session, source_id=source_id, target=locked[target_id])
    base, own = await read_base(session, source_id), await read_base(session, target_id)
    if not set(oids) <= base.tips:
        raise BaseMoved
    new = sorted(base.packs - own.packs)
    for pack in new:
        is_pack = (Pack.store_id == pack.store_id) & (Pack.id == pack.id)
        # Locked: whoever condemns a pack looks for names under this lock.
        row = (await session.execute(select(Pack.state, Pack.pack_bytes).where(is_pack).with_for_update())).first()
        if row is None or row.state != PackState.LIVE:
            raise BaseMoved
        locked[target_id].pack_bytes += row.pack_bytes
    if new:
        rows = [
            {"store_id": target_id, "pack_store_id": pack.store_id, "pack_id": pack.id, "kind": ManifestKind.BASE}
            for pack in new
        ]
        await session.execute(insert(ManifestEntry), rows)
        locked[target_id].manifest_version += 1
        if own.tips <= base.tips and not await _was_purged(session, source_id, target_id):
            await drop_entries(session, target_id, own.packs - base.packs)
    await _add_tips(session, target_id, base.tips - own.tips)
    await session.flush()
    return len(new)


async def make_own(engine: Engine, store_id: int, *, within: Within | None = None) -> bool:
    """The store shares no pack with any other store and has no base; False if it had none.

    Everything in its shared packs is kept, in one new pack. The packs live on where other manifests name them.
    Errors as ``cut_base``; after any of them the store has its old manifest or the new one.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _make_own(engine, store_id, within)
        except PacksReplaced:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


async def _cut(
    engine: Engine, store_id: int, is_open: IsOpen, within: Within | None, progress: Progress | None
) -> Cut | None:
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    tips = {ref.oid for ref in open_refs(snapshot, is_open)}
    async with engine.database.read() as session:
        base = await read_base(session, store_id, locked=False)
    missing = sorted(tips - base.tips)
    if not missing:
        return None
    if progress is not None:
        await progress(CutStep.PACKING)
    async with (
        engine.view(snapshot.fresher(state)) as view,
        open_quarantine(engine.cache.quarantines) as quarantine,
    ):
        await asyncio.to_thread(lambda: link_packs(view, quarantine, packs_in(view)))
        # Not the snapshot's: one of the same refs is remembered from before a purge.
        unpacked = _Plan(base, missing, state.cache_epoch)
        plan = await _prepare(engine, store_id, quarantine, unpacked, progress)
    await engine.database.write_retrying(lambda session: _swap(session, store_id, plan, within))
    await fail_point(Step.BASE_AFTER_COMMIT)
    done = Cut(
        0 if plan.cut is None else plan.cut.pack_bytes,
        0 if plan.rest is None else plan.rest.pack_bytes,
        len(plan.replaced),
    )
    _log.info("base_cut", store_id=store_id, tips=len(missing), base_bytes=done.base_bytes, replaced=done.replaced)
    return done


async def _consolidate(engine: Engine, store_id: int, within: Within | None) -> None:
    """Make one of the small base packs of a store with many, so that the rest grow geometrically; the tips stay.

    Every sync of a fork may leave a base pack behind: without this a busy parent would have thousands.
    """
    async with engine.database.read() as session:
        base = await read_base(session, store_id, locked=False)
        own = [pack.id for pack in base.packs if pack.store_id == store_id]
        rows = await session.execute(
            select(Pack.id, Pack.objects, Pack.pack_bytes).where(Pack.store_id == store_id, Pack.id.in_(own))
        )
        chosen = choose_packs(SourcePack(*row) for row in rows) if len(own) >= BASES_MAX else []
    if not chosen:
        return
    sources = [pack.id for pack in chosen]
    async with (
        engine.view(await engine.state(store_id)) as view,
        open_quarantine(engine.cache.quarantines) as quarantine,
    ):
        await asyncio.to_thread(link_packs, view, quarantine, sources)
        written = await combine_packs(engine, quarantine, sources)
        upload = await announce_upload(engine.database, store_id, at=await engine.database.now())
        uploaded = await upload_pack(engine.storage, upload, written, adopt=engine.cache.adopt)

    async def swap(session: AsyncSession) -> None:
        store = (await lock_stores(session, [store_id]))[store_id]
        if within is not None:
            await within(session)
        if await read_base(session, store_id) != base:
            raise PacksReplaced
        await enter_manifest(session, store, uploaded, kind=ManifestKind.BASE, at=await database_now(session))
        await drop_entries(session, store_id, [PackKey(store_id, pack_id) for pack_id in sources])
        await session.flush()

    try:
        await engine.database.write_retrying(swap)
    except PacksReplaced:
        _log.info("bases_left", store_id=store_id)  # another cut was faster: the next one tries again


async def _was_purged(session: AsyncSession, *store_ids: int) -> bool:
    """Tell whether something was purged from one of the stores: then tips are missing that packs were cut for."""
    found = await session.scalar(select(PurgedObject.store_id).where(PurgedObject.store_id.in_(store_ids)).limit(1))
    return found is not None


async def _prepare(
    engine: Engine, store_id: int, quarantine: Quarantine, plan: _Plan, progress: Progress | None
) -> _Plan:
    """Write and upload the packs of a cut; the quarantine has the packs of the store."""
    own = [pack.id for pack in await read_own_packs(engine.database, store_id)]
    revisions = [*plan.tips, *(f"^{tip}" for tip in sorted(plan.base.tips))]
    cut = await write_pack(engine.runner, quarantine, "base", ("--revs",), _lines(revisions))
    if cut is None:
        return plan
    replaced, rest_oids = await asyncio.to_thread(_divide, quarantine, cut, plan.base, own)
    rest = await write_pack(engine.runner, quarantine, "rest", (), _lines(rest_oids)) if rest_oids else None
    assert (0 if rest is None else rest.objects) == len(rest_oids), "git packs the objects it is told to"
    await fail_point(Step.BASE_PACKED)
    if progress is not None:
        await progress(CutStep.STORING)
    uploads: list[UploadedPack | None] = []
    for pack in (cut, rest):
        if pack is None:
            uploads.append(None)
            continue
        upload = await announce_upload(engine.database, store_id, at=await engine.database.now())
        uploads.append(await upload_pack(engine.storage, upload, pack, adopt=engine.cache.adopt))
    return replace(plan, cut=uploads[0], rest=uploads[1], replaced=tuple(replaced))


def _lines(words: Sequence[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode("ascii")


def _divide(quarantine: Quarantine, cut: IndexedPack, base: Base, own: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the own packs that the cut makes superfluous, and what they have that no base pack has. Blocks.

    A pack goes if base packs have at least half of it; one that came after the view was made is left alone.
    """
    replaced: list[str] = []
    rest: set[str] = set()
    with ExitStack() as stack:
        paths = [cut.path_idx, *(quarantine.packs / f"pack-{pack.id}.idx" for pack in sorted(base.packs))]
        bases = [stack.enter_context(PackIndex.open(path)) for path in paths if path.exists()]
        for pack_id in own:
            path = quarantine.packs / f"pack-{pack_id}.idx"
            if not path.exists():
                continue
            with PackIndex.open(path) as index:
                outside = [oid for oid in index.oids() if not any(oid in other for other in bases)]
                if 2 * len(outside) <= len(index):
                    replaced.append(pack_id)
                    rest.update(outside)
    return replaced, sorted(rest)


async def _swap(session: AsyncSession, store_id: int, plan: _Plan, within: Within | None) -> None:
    """The manifest names the new packs instead of those they replace; whoever reads sees all of it or nothing."""
    store = (await lock_stores(session, [store_id]))[store_id]
    if within is not None:
        await within(session)
    if await read_base(session, store_id) != plan.base:
        raise BaseMoved
    if store.cache_epoch != plan.cache_epoch:
        raise PacksReplaced  # what was purged since may be in the cut
    if await session.scalar(select(ManifestEntry.store_id).where(ManifestEntry.store_id == store_id).limit(1)) is None:
        raise PacksReplaced  # deleted meanwhile
    now = await database_now(session)
    if plan.cut is not None:
        await enter_manifest(session, store, plan.cut, kind=ManifestKind.BASE, at=now)
    if plan.rest is not None:
        await enter_manifest(session, store, plan.rest, kind=ManifestKind.COMPACTED, at=now)
    if await drop_entries(session, store_id, [PackKey(store_id, pack_id) for pack_id in plan.replaced]) != len(
        plan.replaced
    ):
        raise PacksReplaced
    await _add_tips(session, store_id, plan.tips)
    await session.flush()
    await fail_point(Step.BASE_BEFORE_COMMIT)


async def _make_own(engine: Engine, store_id: int, within: Within | None) -> bool:
    async with engine.database.read() as session:
        base = await read_base(session, store_id, locked=False)
        shared = await _shared(session, store_id, base.packs)
    if not base.packs and not base.tips:
        return False
    uploaded = None
    if shared:
        async with (
            engine.view(await engine.state(store_id)) as view,
            open_quarantine(engine.cache.quarantines) as quarantine,
        ):
            sources = [pack.id for pack in sorted(shared)]
            await asyncio.to_thread(link_packs, view, quarantine, sources)
            written = await combine_packs(engine, quarantine, sources)
            await fail_point(Step.BASE_PACKED)
            upload = await announce_upload(engine.database, store_id, at=await engine.database.now())
            uploaded = await upload_pack(engine.storage, upload, written, adopt=engine.cache.adopt)
    await engine.database.write_retrying(lambda session: _swap_own(session, store_id, base, shared, uploaded, within))
    await fail_point(Step.OWN_AFTER_COMMIT)
    _log.info("packs_separated", store_id=store_id, shared=len(shared))
    return True


async def _swap_own(
    session: AsyncSession,
    store_id: int,
    base: Base,
    shared: frozenset[PackKey],
    uploaded: UploadedPack | None,
    within: Within | None,
) -> None:
    store = (await lock_stores(session, [store_id]))[store_id]
    if within is not None:
        await within(session)
    # Locked in order first: a fork that is just being made names them under these locks.
    for pack in sorted(base.packs):
        await session.execute(
            select(Pack.id).where(Pack.store_id == pack.store_id, Pack.id == pack.id).with_for_update()
        )
    if await read_base(session, store_id) != base or await _shared(session, store_id, base.packs) != shared:
        raise PacksReplaced
    if uploaded is not None:
        await enter_manifest(session, store, uploaded, kind=ManifestKind.COMPACTED, at=await database_now(session))
    await drop_entries(session, store_id, shared)
    await session.execute(
        update(ManifestEntry)
        .where(ManifestEntry.store_id == store_id, ManifestEntry.kind == ManifestKind.BASE)
        .values(kind=ManifestKind.COMPACTED)
        .execution_options(synchronize_session=False)
    )
    await session.execute(delete(BaseTip).where(BaseTip.store_id == store_id))
    await session.flush()
    await fail_point(Step.OWN_BEFORE_COMMIT)


async def _shared(session: AsyncSession, store_id: int, packs: Collection[PackKey]) -> frozenset[PackKey]:
    """Return those packs that were made for another store or that another manifest names."""
    other = aliased(ManifestEntry)
    # Primary key of git_manifest, ix_git_manifest_pack_store_id_pack_id.
    named = exists().where(
        other.pack_store_id == ManifestEntry.pack_store_id,
        other.pack_id == ManifestEntry.pack_id,
        other.store_id != store_id,
    )
    rows = await session.execute(
        select(ManifestEntry.pack_store_id, ManifestEntry.pack_id).where(
            ManifestEntry.store_id == store_id, (ManifestEntry.pack_store_id != store_id) | named
        )
    )
    return frozenset(PackKey(*row) for row in rows) & frozenset(packs)


async def _add_tips(session: AsyncSession, store_id: int, tips: Collection[Oid]) -> None:
    rows = [{"store_id": store_id, "oid": oid} for oid in sorted(tips)]
    for start in range(0, len(rows), _BATCH):
        await session.execute(insert(BaseTip), rows[start : start + _BATCH])
