"""Removing an object for good, now: a secret that was pushed must not wait for collection, nor for anybody's grace.

``purge`` works on a whole network of forks, and on every store that shares a pack with it. First one transaction, under
the locks of all of them, makes the object impossible: it goes on the deny list (``purged_objects``), old ref values
that reach it are no roots any more, and plans that were staged before cannot land. It refuses while a ref reaches the
object. Then each pack that holds it is written anew without it, the manifests are swapped, and the bytes of the old
packs, of undo packs, of uploads under way and of shared answers are deleted at once, whatever pins and grace would say.
Nodes read in ``git_purged_pack`` which packs to drop (``node_purges``). What dies between, the same call does again.

For backups: ``git_purged_object`` (store_id, oid, at) and ``git_purged_pack`` (store_id, pack_id, key without ending,
at) say what a restore must not bring back; after restoring older tables, call ``purge`` for each store's rows again.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pygit2
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict
from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.fail_points import Step, fail_point
from cairn.git.history import Objects
from cairn.git.models import (
    BaseTip,
    ManifestEntry,
    Pack,
    PackState,
    PurgedObject,
    PurgedPack,
    PurgedRoot,
    RefLog,
    UndoPack,
    Upload,
    UploadState,
)
from cairn.git.pack_files import UploadedPack, announce_upload, enter_pack, upload_pack
from cairn.git.pack_swap import PacksReplaced, Within, link_packs, write_pack
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import open_quarantine
from cairn.git.reaching import which_reach
from cairn.git.reading import open_repository
from cairn.git.ref_queries import ROOTS_KEPT, RefSnapshot
from cairn.git.shared_answers import SHARED_PREFIX
from cairn.git.store_state import StoreGone, lock_stores
from cairn.git.types import ZERO_OID, Oid, RefName, show
from cairn.git.undo_packs import delete_undo_packs
from cairn.git.upload_sweeper import delete_expired_keys
from cairn.storage.errors import StorageNotFound

OBJECTS_MAX = 100
"""Objects of one purge."""

ATTEMPTS = 10
_BATCH = 500
_REFS_TOLD_MAX = 10
_log = get_logger(__name__)


class StillReachable(Conflict):
    """A ref reaches an object that is to be purged: rewrite or delete the ref first."""

    def __init__(self, refs: Sequence[tuple[int, RefName]], *, owners: Mapping[int, str] | None = None) -> None:
        """``owners`` names the repositories of stores, where the caller knows them."""
        places = [(show(name), (owners or {}).get(store, f"store {store}")) for store, name in refs[:_REFS_TOLD_MAX]]
        names = ", ".join(f"{name} of {owner}" for name, owner in places)
        more = f" and {len(refs) - _REFS_TOLD_MAX:,} more" if len(refs) > _REFS_TOLD_MAX else ""
        super().__init__(f"still reachable from {names}{more}; rewrite or delete these first")
        self.refs = tuple(refs)


class TooBusy(Conflict):
    """Refs or packs kept changing while the purge looked at them."""

    def __init__(self) -> None:
        super().__init__("these repositories were pushed to again and again meanwhile; try once more")


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge did: stores it covers, packs it wrote anew or deleted, undo packs it deleted."""

    stores: tuple[int, ...]
    packs: int
    undo_packs: int


@dataclass(slots=True)
class _Judged:
    """What is known of one store's ref values, as of ``ref_version``."""

    ref_version: int = -1
    clean: set[Oid] = field(default_factory=set)
    reaching: set[Oid] = field(default_factory=set)


async def purge(engine: Engine, store_ids: Collection[int], oids: Collection[Oid], *, within: Within) -> Purged:
    """No store of this network has any of these objects, in no pack, cache or undo pack, and no push brings one again.

    ``within`` authorizes and records in the transaction that decides. Errors: StillReachable (nothing was changed),
    TooBusy, PackDamaged, the storage's and the database's: call again, it goes on where it was.
    """
    assert 0 < len(oids) <= OBJECTS_MAX
    stores: list[int] = []
    packs = 0
    # A fork that is made meanwhile shares packs with one of them by then.
    while (relatives := await find_relatives(engine.database, store_ids)) != stores:
        stores = relatives
        await _make_impossible(engine, stores, oids, within)
        await fail_point(Step.PURGE_AFTER_COMMIT)
        packs += await _rewrite_packs(engine, stores, oids)
    undo_packs = await _delete_undo_packs(engine, stores, oids)
    await delete_purged_bytes(engine)
    for store_id in stores:
        await delete_expired_keys(engine.database, engine.storage, store_id)
        await engine.storage.delete_prefix(f"{SHARED_PREFIX}/{store_id}/")
    _log.info("purged", stores=len(stores), objects=len(oids), packs=packs, undo_packs=undo_packs)
    return Purged(tuple(stores), packs, undo_packs)


async def find_relatives(database: Database, store_ids: Collection[int]) -> list[int]:
    """Return these stores and every store that shares a pack with one of them, or with one of those, and so on."""
    found = set(store_ids)
    fresh = set(store_ids)
    async with database.read() as session:
        while fresh:
            # Primary key of git_manifest, and ix_git_manifest_pack_store_id_pack_id.
            rows = await session.execute(
                select(ManifestEntry.store_id, ManifestEntry.pack_store_id)
                .where(or_(ManifestEntry.store_id.in_(fresh), ManifestEntry.pack_store_id.in_(fresh)))
                .where(ManifestEntry.store_id != ManifestEntry.pack_store_id)
                .distinct()
            )
            fresh = {store for row in rows for store in row} - found
            found |= fresh
    return sorted(found)


async def delete_purged_bytes(engine: Engine) -> None:
    """The bytes of every purged pack are gone from the object store and from this node."""
    async with engine.database.read() as session:
        waiting = list(await session.scalars(select(PurgedPack).where(PurgedPack.is_deleted.is_(False))))
    for pack in waiting:
        await engine.storage.delete(f"{pack.key}.idx")
        await engine.storage.delete(f"{pack.key}.pack")
    async with engine.database.write() as session:
        for pack in waiting:
            is_pack = (PurgedPack.store_id == pack.store_id) & (PurgedPack.pack_id == pack.pack_id)
            await session.execute(update(PurgedPack).where(is_pack).values(is_deleted=True))
            await session.execute(
                delete(Pack).where(
                    Pack.store_id == pack.store_id, Pack.id == pack.pack_id, Pack.state == PackState.DELETING
                )
            )
    await asyncio.to_thread(engine.cache.forget, {pack.pack_id for pack in waiting})
    if waiting:
        await asyncio.to_thread(engine.answers.forget_all)


async def _make_impossible(engine: Engine, stores: Sequence[int], oids: Collection[Oid], within: Within) -> None:
    """Commit the deny list and the end of old roots, once no ref of any store reaches the objects."""
    judged = {store_id: _Judged() for store_id in stores}
    for _ in range(ATTEMPTS):
        for store_id in stores:
            await _judge(engine, store_id, oids, judged[store_id])
        try:
            await engine.database.write_retrying(lambda session: _forbid(session, judged, oids, within))
        except PacksReplaced:
            continue
        return
    raise TooBusy


async def _judge(engine: Engine, store_id: int, oids: Collection[Oid], judged: _Judged) -> None:
    """Learn of every ref, and of every ref value that is a root, whether it reaches the objects.

    What was found clean before bounds the walk: the second look costs only what was pushed since the first.
    """
    try:
        state = await engine.state(store_id)
        snapshot = await engine.snapshot(state)
    except StoreGone:
        return
    if snapshot.state.ref_version == judged.ref_version:
        return
    values = {ref.oid for ref in snapshot.refs} | await _old_values(engine.database, snapshot)
    async with engine.view(snapshot.fresher(state)) as view:
        unknown = sorted(values - judged.clean - judged.reaching)
        present = await asyncio.to_thread(_commits, view.path, judged.clean)
        reaching = await which_reach(engine.runner, Objects(view.path), unknown, oids, clean=present)
    judged.reaching |= reaching
    judged.clean |= set(unknown) - reaching
    judged.ref_version = snapshot.state.ref_version
    refs = [(store_id, ref.name) for ref in snapshot.refs if ref.oid in judged.reaching]
    if refs:
        judged.ref_version = -1
        raise StillReachable(refs)


async def _old_values(database: Database, snapshot: RefSnapshot) -> set[Oid]:
    """Return the ref values of ROOTS_KEPT, and what base packs were cut for."""
    async with database.read() as session:
        since = await database_now(session, plus=-ROOTS_KEPT)
        # ix_git_ref_log_store_id_at
        lines = await session.execute(
            select(RefLog.old_oid, RefLog.new_oid).where(
                RefLog.store_id == snapshot.state.id,
                RefLog.at >= since,
                RefLog.ref_version <= snapshot.state.ref_version,
            )
        )
        values = {Oid(oid) for line in lines for oid in line} - {ZERO_OID}
        bases = await session.scalars(select(BaseTip.oid).where(BaseTip.store_id == snapshot.state.id))
        return values | {Oid(oid) for oid in bases}


def _commits(git_dir: Path, oids: Iterable[Oid]) -> list[Oid]:
    repository = open_repository(git_dir)
    return [oid for oid in oids if isinstance(repository.get(oid), pygit2.Commit)]


async def _forbid(session: AsyncSession, judged: dict[int, _Judged], oids: Collection[Oid], within: Within) -> None:
    """PacksReplaced if a ref moved since it was judged."""
    stores = await lock_stores(session, sorted(judged))
    await within(session)
    now = await database_now(session)
    for store_id, known in judged.items():
        store = stores[store_id]
        if store.ref_version != known.ref_version:
            raise PacksReplaced
        store.cache_epoch += 1
        store.collect_after = now  # what lost its roots by this
        await _deny(session, store_id, oids, now)
        await _end_roots(session, store_id, known.reaching, now)
        await session.execute(
            update(Upload)
            .where(Upload.store_id == store_id, Upload.state == UploadState.OPEN)
            .values(state=UploadState.EXPIRED, expires_at=now)
            .execution_options(synchronize_session=False)
        )
    await session.flush()
    await fail_point(Step.PURGE_BEFORE_COMMIT)


async def _deny(session: AsyncSession, store_id: int, oids: Collection[Oid], now: datetime) -> None:
    denied = set(await session.scalars(select(PurgedObject.oid).where(PurgedObject.store_id == store_id)))
    for oid in sorted(set(oids) - denied):
        session.add(PurgedObject(store_id=store_id, oid=oid, at=now))


async def _end_roots(session: AsyncSession, store_id: int, reaching: set[Oid], now: datetime) -> None:
    """Old values that reach a purged object are no roots; what was a root only through one becomes one by itself."""
    ended = set(await session.scalars(select(PurgedRoot.oid).where(PurgedRoot.store_id == store_id)))
    for oid in sorted(reaching - ended):
        session.add(PurgedRoot(store_id=store_id, oid=oid))
    ordered = sorted(reaching)
    for start in range(0, len(ordered), _BATCH):
        batch = ordered[start : start + _BATCH]
        await session.execute(
            update(RefLog)
            .where(RefLog.store_id == store_id, RefLog.at >= now - ROOTS_KEPT)
            .where(RefLog.new_oid.in_(batch), RefLog.old_oid != ZERO_OID)
            .values(is_rewind=True)
            .execution_options(synchronize_session=False)
        )
        # The base packs are complete no longer for what reached it.
        await session.execute(delete(BaseTip).where(BaseTip.store_id == store_id, BaseTip.oid.in_(batch)))


async def _rewrite_packs(engine: Engine, stores: Sequence[int], oids: Collection[Oid]) -> int:
    done = 0
    for _ in range(ATTEMPTS):
        try:
            found = await _rewrite_once(engine, stores, oids)
        except PacksReplaced:
            continue
        # A compaction, collection or cut may have copied the objects into a new pack between the list and its end.
        # Once none is found none comes: those swap only while every pack they read is named.
        if not found:
            return done
        done += found
    raise TooBusy


async def _rewrite_once(engine: Engine, stores: Sequence[int], oids: Collection[Oid]) -> int:
    """Replace each pack that holds one of the objects, named or only waiting for its deletion; return how many."""
    done = 0
    for pack in await packs_of(engine.database, stores):
        async with open_index(engine, pack.key) as path:
            if path is None or not await asyncio.to_thread(holds_any, path, oids):
                continue
        await _rewrite(engine, pack, oids)
        done += 1
    return done


async def packs_of(database: Database, stores: Sequence[int]) -> list[Pack]:
    """Return the packs of these stores and those that their manifests name, but for what is being deleted."""
    async with database.read() as session:
        named = select(ManifestEntry.pack_store_id).where(ManifestEntry.store_id.in_(stores))
        found = await session.scalars(
            select(Pack)
            .where(or_(Pack.store_id.in_(stores), Pack.store_id.in_(named)))
            .where(Pack.state != PackState.DELETING)
            .order_by(Pack.store_id, Pack.id)
        )
        return list(found)


@asynccontextmanager
async def open_index(engine: Engine, key: str) -> AsyncIterator[Path | None]:
    """Yield a pack's index, fetched for the length of the block; None if the object store has it no more."""
    async with open_quarantine(engine.cache.quarantines) as quarantine:
        path = quarantine.path / "looked-at.idx"
        try:
            await engine.storage.download(f"{key}.idx", path)
        except StorageNotFound:
            path = None  # type: ignore[assignment]  # deleted meanwhile, as it should be
        yield path


def holds_any(index_path: Path, oids: Collection[Oid]) -> bool:
    """Say whether a pack's index knows one of the objects. Blocks."""
    with PackIndex.open(index_path) as index:
        return any(oid in index for oid in oids)


async def _rewrite(engine: Engine, pack: Pack, oids: Collection[Oid]) -> None:
    """The pack is marked for deletion, and manifests that named it name one without the objects instead."""
    uploaded: UploadedPack | None = None
    async with engine.database.read() as session:
        # ix_git_manifest_pack_store_id_pack_id
        named = (ManifestEntry.pack_store_id == pack.store_id) & (ManifestEntry.pack_id == pack.id)
        readers = sorted(await session.scalars(select(ManifestEntry.store_id).where(named)))
    if readers:
        async with (
            engine.view(await engine.state(readers[0])) as view,
            open_quarantine(engine.cache.quarantines) as quarantine,
        ):
            await asyncio.to_thread(link_packs, view, quarantine, [pack.id])
            rest = await asyncio.to_thread(_rest, quarantine.packs / f"pack-{pack.id}.idx", oids)
            written = await write_pack(engine.runner, quarantine, "rest", (), rest)
            if written is not None:
                upload = await announce_upload(engine.database, pack.store_id, at=await engine.database.now())
                uploaded = await upload_pack(engine.storage, upload, written, adopt=engine.cache.adopt)
        await fail_point(Step.PURGE_UPLOADED)
    await engine.database.write_retrying(lambda session: _replace(session, pack, readers, uploaded))


def _rest(index_path: Path, oids: Collection[Oid]) -> bytes:
    gone = frozenset(oids)
    with PackIndex.open(index_path) as index:
        return b"".join(oid.encode("ascii") + b"\n" for oid in index.oids() if oid not in gone)


async def _replace(session: AsyncSession, pack: Pack, readers: Sequence[int], uploaded: UploadedPack | None) -> None:
    stores = await lock_stores(session, list(readers)) if readers else {}
    row = await session.scalar(select(Pack).where(Pack.store_id == pack.store_id, Pack.id == pack.id).with_for_update())
    if row is None or row.state == PackState.DELETING:
        return  # somebody deleted it: nothing left to do but its bytes
    entries = list(
        await session.scalars(
            select(ManifestEntry)
            .where(ManifestEntry.pack_store_id == pack.store_id, ManifestEntry.pack_id == pack.id)
            .with_for_update()
        )
    )
    if sorted(entry.store_id for entry in entries) != list(readers):
        raise PacksReplaced
    now = await database_now(session)
    if uploaded is not None:
        await enter_pack(session, pack.store_id, uploaded, at=now)
    for entry in entries:
        if uploaded is not None:
            session.add(
                ManifestEntry(
                    store_id=entry.store_id, pack_store_id=pack.store_id, pack_id=uploaded.id, kind=entry.kind
                )
            )
        await session.delete(entry)
        stores[entry.store_id].manifest_version += 1
        stores[entry.store_id].pack_bytes += (0 if uploaded is None else uploaded.pack_bytes) - row.pack_bytes
    row.state, row.condemned_at = PackState.DELETING, now
    await _note_purged(session, pack.store_id, pack.id, pack.key, now)
    await session.flush()


async def _note_purged(session: AsyncSession, store_id: int, pack_id: str, key: str, now: datetime) -> None:
    if await session.get(PurgedPack, (store_id, pack_id)) is None:
        await session.execute(
            insert(PurgedPack).values(store_id=store_id, pack_id=pack_id, key=key, is_deleted=False, at=now)
        )


async def _delete_undo_packs(engine: Engine, stores: Sequence[int], oids: Collection[Oid]) -> int:
    """Delete the undo packs that hold one of the objects, whole: they are the past, and nobody relies on them.

    One whose index is gone goes too: a purge that died here left it, or a restore of older tables; it restores nothing,
    and what else it holds cannot be told.
    """
    async with engine.database.read() as session:
        packs = list(await session.scalars(select(UndoPack).where(UndoPack.store_id.in_(stores))))
    held: list[UndoPack] = []
    for pack in packs:
        async with open_index(engine, pack.key) as path:
            if path is None or await asyncio.to_thread(holds_any, path, oids):
                held.append(pack)
    async with engine.database.write() as session:
        now = await database_now(session)
        for pack in held:
            await _note_purged(session, pack.store_id, pack.id, pack.key, now)
    await delete_undo_packs(engine.database, engine.storage, held)
    return len(held)
