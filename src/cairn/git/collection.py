"""Objects that no root has reached for a fortnight go: a store shrinks after deletions and forced pushes.

RELIABILITY 1.3 C and D. What stays is everything reachable from the refs, from every ref value of ROOTS_KEPT (14 days
and twice what a plan may age) and from the pins the caller names. It is written into one new pack; what is dropped
goes into an undo pack outside the manifest; both are uploaded, and one transaction swaps. Packs that arrive meanwhile
are not touched, base packs shared with forks stay whole, and the old packs are condemned like compacted ones.

Why a push under way is safe: it relies only on what some ref value of the last 14 days reached when it was checked, and
lands within an hour of that. Whatever it relied on is therefore reachable from a value younger than ROOTS_KEPT while
this collection runs. The sources are read before the roots: a push between the two adds a pack that is no source.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import RefLog, Store
from cairn.git.node_cache import View
from cairn.git.pack_files import UploadedPack, announce_upload, upload_pack
from cairn.git.pack_swap import Within, link_packs, packs_in, read_own_packs, swap_packs, write_pack
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import IndexedPack, Quarantine, open_quarantine
from cairn.git.ref_queries import ROOTS_KEPT, retained_roots
from cairn.git.store_state import lock_stores
from cairn.git.types import Oid
from cairn.git.undo_packs import enter_undo_pack, undo_key

COLLECTED_AT_MOST_EVERY = timedelta(days=7)
"""A store in which people rewrite branches all day is collected no more often: each time rewrites all its packs."""

FOUND_MAX = 1000
"""Stores of one scan; the next one finds the rest."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Collected:
    """What one collection did: objects that stay in rewritten packs, objects that went into the undo pack."""

    kept: int
    dropped: int


async def find_collectable(database: Database) -> list[int]:
    """Return the stores in which objects may have lost their last root, longest ago first, at most FOUND_MAX."""
    async with database.read() as session:
        now = await database_now(session)
        # ix_git_store_collect_after: idle stores are not looked at.
        found = await session.scalars(
            select(Store.id).where(Store.collect_after <= now).order_by(Store.collect_after).limit(FOUND_MAX)
        )
        return list(found)


async def collect(
    engine: Engine, store_id: int, *, pins: Sequence[Oid] = (), within: Within | None = None
) -> Collected:
    """The store's own packs hold only what is reachable from its roots and ``pins``; the rest is in an undo pack.

    Errors: StoreGone, PackDamaged, UploadExpired, PacksReplaced, GitFailed (a root that cannot be followed: nothing is
    dropped from a damaged store), the storage's and the database's. After any the store has its old manifest or the
    new one.
    """
    sources = [pack.id for pack in await read_own_packs(engine.database, store_id)]
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    state = snapshot.fresher(state)
    async with engine.database.read() as session:
        roots = [*await retained_roots(session, state, snapshot.tips, kept=ROOTS_KEPT), *pins]
    staying: UploadedPack | None = None
    undo: UploadedPack | None = None
    async with engine.view(state) as view, open_quarantine(engine.cache.quarantines) as quarantine:
        written, dropped = await _separate(engine, view, quarantine, sources, roots)
        await fail_point(Step.COLLECTION_PACKED)
        if dropped is not None:
            if written is not None:
                upload = await announce_upload(engine.database, store_id, at=await engine.database.now())
                staying = await upload_pack(engine.storage, upload, written, adopt=engine.cache.adopt)
            upload = await announce_upload(engine.database, store_id, at=await engine.database.now(), key_of=undo_key)
            undo = await upload_pack(engine.storage, upload, dropped, adopt=lambda *_: None)
            await fail_point(Step.COLLECTION_UPLOADED)

    async def publish(session: AsyncSession) -> None:
        if undo is None:
            # A landing that rewinds a ref meanwhile holds this lock too: its line of the log is seen below.
            await lock_stores(session, [store_id])
            if within is not None:
                await within(session)
        else:
            _, now = await swap_packs(session, store_id, sources, staying, within=within)
            await enter_undo_pack(session, store_id, undo, at=now)
        await _plan_next(session, store_id)
        await fail_point(Step.COLLECTION_BEFORE_COMMIT)

    await engine.database.write_retrying(publish)
    await fail_point(Step.COLLECTION_AFTER_COMMIT)
    done = Collected(0 if staying is None else staying.objects, 0 if undo is None else undo.objects)
    _log.info("collected", store_id=store_id, packs=len(sources), kept=done.kept, dropped=done.dropped)
    return done


async def _separate(
    engine: Engine, view: View, quarantine: Quarantine, sources: Sequence[str], roots: Sequence[Oid]
) -> tuple[IndexedPack | None, IndexedPack | None]:
    """Return a pack of what the roots reach in the sources, and one of the rest; None for an empty one."""
    if not sources:
        return None, None
    kept = await asyncio.to_thread(packs_in, view) - set(sources)
    await asyncio.to_thread(link_packs, view, quarantine, sources)
    await asyncio.to_thread(link_packs, view, quarantine, kept, is_kept=True)
    stdin = "".join(f"{oid}\n" for oid in roots).encode("ascii")
    staying = await write_pack(engine.runner, quarantine, "staying", ("--revs", "--honor-pack-keep"), stdin)
    dropped = await asyncio.to_thread(_dropped, quarantine, sources, kept, staying)
    if not dropped:
        return staying, None
    await _prove_complete(engine, view, kept, staying, stdin)
    return staying, await write_pack(engine.runner, quarantine, "undo", (), dropped)


def _dropped(quarantine: Quarantine, sources: Sequence[str], kept: set[str], staying: IndexedPack | None) -> bytes:
    """Return the objects, a line each, that are in the sources and neither staying nor in a kept pack. Blocks."""
    lines = bytearray()
    with ExitStack() as stack:
        paths = [quarantine.packs / f"pack-{pack_id}.idx" for pack_id in kept]
        paths += [staying.path_idx] if staying is not None else []
        safe = [stack.enter_context(PackIndex.open(path)) for path in paths]
        for source in sources:
            with PackIndex.open(quarantine.packs / f"pack-{source}.idx") as index:
                for oid in index.oids():
                    raw = bytes.fromhex(oid)
                    if all(pack.position(raw) is None for pack in safe):
                        lines += oid.encode("ascii") + b"\n"
    return bytes(lines)


async def _prove_complete(
    engine: Engine, view: View, kept: set[str], staying: IndexedPack | None, roots: bytes
) -> None:
    """Return if every root can be followed to the end without the sources; GitFailed otherwise.

    The one check that a mistake of ours, or of git, cannot pass: the walk sees only what will be left.
    """
    async with open_quarantine(engine.cache.quarantines) as rest:
        await asyncio.to_thread(link_packs, view, rest, kept)
        if staying is not None:
            for path in (staying.path_pack, staying.path_idx):
                (rest.packs / path.name).hardlink_to(path)
        command = GitCommand(name="rev-list", options=("--objects", "--quiet", "--stdin"))
        if roots:
            await engine.runner.run(command, git_dir=rest.path, stdin=roots)


async def _plan_next(session: AsyncSession, store_id: int) -> None:
    """Say when the next old value of a ref stops being a root."""
    now = await database_now(session)
    # ix_git_ref_log_store_id_is_rewind_at
    oldest = await session.scalar(
        select(func.min(RefLog.at)).where(
            RefLog.store_id == store_id, RefLog.is_rewind.is_(True), RefLog.at >= now - ROOTS_KEPT
        )
    )
    after = None if oldest is None else max(oldest + ROOTS_KEPT, now + COLLECTED_AT_MOST_EVERY)
    await session.execute(update(Store).where(Store.id == store_id).values(collect_after=after))
