"""Makes the indexes of a store: which packs they stand on, git's work in a quarantine, upload, one short transaction.

Measured in docs/decisions/0011-indexes-over-settled-packs.md.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.cached_files import StoredFile
from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.indexes import IndexFiles, IndexKind, index_key, publish_index, read_indexes
from cairn.git.models import ManifestEntry, Pack, PackState, Upload, UploadState
from cairn.git.node_cache import View
from cairn.git.pack_files import UPLOAD_LIFETIME
from cairn.git.pack_swap import Within, link_packs
from cairn.git.quarantine import Quarantine, open_quarantine
from cairn.git.reading import open_repository
from cairn.git.ref_queries import RefSnapshot
from cairn.git.runner import GitFailed
from cairn.git.types import Oid

OBJECTS_MIN = 5_000
"""Smaller stores are fast without: git walks them in milliseconds."""

PACKS_MAX = 1_000
"""A store with more packs is compacted first."""

_SETTLED_SHARE = 2 / 3
"""Packs that hold so much of a store together are not compacted before the store has grown by half."""

_GRAPH_LAG = 1 / 16
"""A graph is renewed when the packs it does not cover have more than this share of the objects, and at least ..."""

_GRAPH_LAG_MIN = 2_000
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SizedPack:
    """A pack of the manifest and its number of objects."""

    id: str
    objects: int


@dataclass(frozen=True, slots=True)
class _MadeFile:
    """A file of a new index on this disk, and its place in a view below ``objects``."""

    path: Path
    place: str


async def find_unindexed(database: Database, *, pushed_within: timedelta | None = None) -> list[int]:
    """Return the stores that are large enough for indexes and lack one, or have one that lags behind.

    Only those that got a pack within that time, if given.
    """
    async with database.read() as session:
        large = (
            select(ManifestEntry.store_id)
            .join(Pack, (Pack.store_id == ManifestEntry.pack_store_id) & (Pack.id == ManifestEntry.pack_id))
            .group_by(ManifestEntry.store_id)
            .having(func.sum(Pack.objects) >= OBJECTS_MIN)
        )
        if pushed_within is not None:
            since = await database_now(session, plus=-pushed_within)
            # ix_git_pack_state_created_at, then the primary key of git_manifest.
            lately = select(Pack.store_id).where(Pack.state == PackState.LIVE, Pack.created_at >= since)
            large = large.where(ManifestEntry.store_id.in_(lately))
        stores = list(await session.scalars(large))
    return [store_id for store_id in stores if await _wanted(database, store_id)]


async def build_indexes(engine: Engine, store_id: int, *, within: Within | None = None) -> list[IndexKind]:
    """The store has the indexes that are worth their cost; return which were made.

    Errors: StoreGone, PackDamaged, GitFailed, UploadExpired, the storage's and the database's, what ``within`` raises
    in the transaction. After any of them the store has its old indexes or the new ones.
    """
    made: list[IndexKind] = []
    for kind, packs in await _wanted(engine.database, store_id):
        if await _build(engine, store_id, kind, packs, within):
            made.append(kind)
    return made


def settled_packs(packs: Iterable[SizedPack]) -> list[SizedPack]:
    """Return the largest packs that hold two thirds of the objects: compaction leaves those alone longest."""
    ordered = sorted(packs, key=lambda pack: (-pack.objects, pack.id))
    enough = _SETTLED_SHARE * sum(pack.objects for pack in ordered)
    chosen: list[SizedPack] = []
    held = 0
    for pack in ordered:
        if held >= enough:
            break
        chosen.append(pack)
        held += pack.objects
    return chosen


async def _wanted(database: Database, store_id: int) -> list[tuple[IndexKind, list[SizedPack]]]:
    """Return which indexes to make now, and over which packs; the graph first, because the other is faster with it."""
    packs = await _read_packs(database, store_id)
    total = sum(pack.objects for pack in packs)
    if total < OBJECTS_MIN or len(packs) > PACKS_MAX:
        return []
    present = {found.kind: found for found in await read_indexes(database, store_id, [pack.id for pack in packs])}
    wanted: list[tuple[IndexKind, list[SizedPack]]] = []
    if _lag(packs, present.get(IndexKind.GRAPH)) > max(_GRAPH_LAG_MIN, _GRAPH_LAG * total):
        wanted.append((IndexKind.GRAPH, packs))
    bitmap = present.get(IndexKind.BITMAP)
    if bitmap is None or _lag(packs, bitmap) > (1 - _SETTLED_SHARE) * total:
        wanted.append((IndexKind.BITMAP, settled_packs(packs)))
    return wanted


def _lag(packs: Iterable[SizedPack], index: IndexFiles | None) -> int:
    """Return how many objects are in packs that the index does not stand on."""
    covered = index.pack_ids if index is not None else frozenset()
    return sum(pack.objects for pack in packs if pack.id not in covered)


async def _read_packs(database: Database, store_id: int) -> list[SizedPack]:
    async with database.read() as session:
        # Primary keys of git_manifest and git_pack.
        rows = await session.execute(
            select(Pack.id, Pack.objects)
            .join(ManifestEntry, (ManifestEntry.pack_store_id == Pack.store_id) & (ManifestEntry.pack_id == Pack.id))
            .where(ManifestEntry.store_id == store_id)
        )
        return [SizedPack(*row) for row in rows]


async def _build(
    engine: Engine, store_id: int, kind: IndexKind, packs: Sequence[SizedPack], within: Within | None
) -> bool:
    """Make, upload and publish one index; False if there is nothing to index or its packs went meanwhile."""
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    async with (
        engine.view(snapshot.fresher(state)) as view,
        open_quarantine(engine.cache.quarantines) as quarantine,
    ):
        tips = await asyncio.to_thread(_commits, view, snapshot)
        if not tips:
            return False
        if kind is IndexKind.GRAPH:
            files = await _write_graph(engine, view, quarantine, tips)
        else:
            files, packs = await _write_bitmap(engine, view, quarantine, tips, packs)
        made = await _upload(engine, store_id, kind, files, packs)
    done = await engine.database.write_retrying(lambda session: _publish(session, store_id, made, within))
    size = sum(file.size for file in made.files)
    _log.info("index_made", store_id=store_id, kind=kind, packs=len(packs), bytes=size, is_published=done)
    return done


async def _publish(session: AsyncSession, store_id: int, made: IndexFiles, within: Within | None) -> bool:
    if within is not None:
        await within(session)
    return await publish_index(session, store_id, made)


def _commits(view: View, snapshot: RefSnapshot) -> list[Oid]:
    """Return the commits that refs point to, through tags too. Blocks."""
    repository = open_repository(view.path)
    found = dict.fromkeys(ref.peeled or ref.oid for ref in snapshot.refs)
    return [oid for oid in found if repository.odb.read_header(oid)[0] == 1]


async def _write_graph(engine: Engine, view: View, quarantine: Quarantine, tips: Sequence[Oid]) -> list[_MadeFile]:
    """Write the graph of everything that ``tips`` reach; what the view's own graph knows already is taken over."""
    command = GitCommand(name="commit-graph", options=("write", "--stdin-commits", "--changed-paths", "--no-progress"))
    await engine.runner.run(command, git_dir=quarantine.path, alternates=(view.objects,), stdin=_lines(tips))
    return [_MadeFile(quarantine.objects / "info" / "commit-graph", "info/commit-graph")]


async def _write_bitmap(
    engine: Engine, view: View, quarantine: Quarantine, tips: Sequence[Oid], packs: Sequence[SizedPack]
) -> tuple[list[_MadeFile], Sequence[SizedPack]]:
    """Write the bitmap over ``packs``, or over all if those lack something that their commits reach."""
    try:
        return await _try_bitmap(engine, view, quarantine, tips, packs), packs
    except GitFailed as error:
        _log.info("bitmap_needs_every_pack", stderr=error.stderr.strip()[-300:])
    everything = await _read_packs(engine.database, view.store_id)
    return await _try_bitmap(engine, view, quarantine, tips, everything), everything


async def _try_bitmap(
    engine: Engine, view: View, quarantine: Quarantine, tips: Sequence[Oid], packs: Sequence[SizedPack]
) -> list[_MadeFile]:
    await asyncio.to_thread(_link_anew, view, quarantine, packs)
    present = await asyncio.to_thread(_present, quarantine, tips)
    snapshot = quarantine.path / "tips"
    snapshot.write_bytes(_lines(present))
    largest = max(packs, key=lambda pack: pack.objects)
    command = GitCommand(
        name="multi-pack-index",
        options=(
            *("write", "--bitmap", "--no-progress"),
            # Of an object in several packs the copy in this one counts, and whole runs of it are sent as they are.
            f"--preferred-pack=pack-{largest.id}.idx",
            f"--refs-snapshot={snapshot}",
        ),
    )
    await engine.runner.run(command, git_dir=quarantine.path)
    bitmaps = list(quarantine.packs.glob("multi-pack-index-*.bitmap"))
    if len(bitmaps) != 1:
        # Git says so on standard error only, and ends well.
        raise GitFailed("multi-pack-index", 0, "no bitmap was written: the packs lack what their commits reach")
    return [_MadeFile(path, f"pack/{path.name}") for path in (quarantine.packs / "multi-pack-index", bitmaps[0])]


def _link_anew(view: View, quarantine: Quarantine, packs: Sequence[SizedPack]) -> None:
    for left in quarantine.packs.iterdir():
        left.unlink()
    link_packs(view, quarantine, [pack.id for pack in packs])


def _present(quarantine: Quarantine, tips: Sequence[Oid]) -> list[Oid]:
    repository = open_repository(quarantine.path)
    return [oid for oid in tips if oid in repository]


def _lines(oids: Iterable[Oid]) -> bytes:
    return "".join(f"{oid}\n" for oid in oids).encode("ascii")


async def _upload(
    engine: Engine, store_id: int, kind: IndexKind, files: Sequence[_MadeFile], packs: Sequence[SizedPack]
) -> IndexFiles:
    """The files are in the object store, under keys that an open upload row named first."""
    index_id = random_id()
    keys = [index_key(store_id, index_id, number) for number in range(len(files))]
    async with engine.database.write() as session:
        expires_at = await database_now(session, plus=UPLOAD_LIFETIME)
        await session.execute(
            insert(Upload).values(
                store_id=store_id, id=index_id, keys=keys, state=UploadState.OPEN, expires_at=expires_at
            )
        )
    stored: list[StoredFile] = []
    for file, key in zip(files, keys, strict=True):
        sha256 = await asyncio.to_thread(_sha256, file.path)
        stored.append(StoredFile(file.place, key, await engine.storage.put_file(key, file.path), sha256))
    engine.cache.adopt_files(index_id, [file.path for file in files])
    return IndexFiles(
        index_id, kind, tuple(stored), frozenset(pack.id for pack in packs), sum(pack.objects for pack in packs)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
