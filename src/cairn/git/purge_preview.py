"""What a purge would do, before anybody does it: nothing is changed and nothing is written."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from cairn.git.engine import Engine
from cairn.git.history import Objects
from cairn.git.models import UndoPack
from cairn.git.purge import OBJECTS_MAX, find_relatives, holds_any, open_index, packs_of
from cairn.git.reaching import which_reach
from cairn.git.reading import open_repository
from cairn.git.ref_queries import RefSnapshot
from cairn.git.store_state import StoreGone
from cairn.git.types import ObjectKind, Oid, RefName

_KINDS = {1: ObjectKind.COMMIT, 2: ObjectKind.TREE, 3: ObjectKind.BLOB, 4: ObjectKind.TAG}
"""Source: gitformat-pack(5), "Object types"."""


@dataclass(frozen=True, slots=True)
class PreviewedObject:
    """An object that is asked for; ``kind`` and ``size_bytes`` are None where no store has it in a live pack."""

    oid: Oid
    kind: ObjectKind | None
    size_bytes: int | None
    stores: tuple[int, ...]
    """The stores that have it."""


@dataclass(frozen=True, slots=True)
class PurgePreview:
    """What ``purge`` would meet: all stores it would look at, and what of theirs holds or reaches the objects.

    ``refs`` (store, name) prevent it. ``pack_bytes`` are those of the packs that would be written anew,
    ``undo_bytes`` those of the undo packs that would be deleted whole.
    """

    stores: tuple[int, ...]
    objects: tuple[PreviewedObject, ...]
    refs: tuple[tuple[int, RefName], ...]
    packs: int
    pack_bytes: int
    undo_packs: int
    undo_bytes: int


async def preview_purge(engine: Engine, store_ids: Collection[int], oids: Collection[Oid]) -> PurgePreview:
    """Return what ``purge`` of these objects would do as the stores are now; a push may change it at any time.

    Errors: PackDamaged, the storage's and the database's.
    """
    assert 0 < len(oids) <= OBJECTS_MAX
    stores = await find_relatives(engine.database, store_ids)
    refs: list[tuple[int, RefName]] = []
    headers: dict[Oid, tuple[ObjectKind, int]] = {}
    having: dict[Oid, list[int]] = {oid: [] for oid in sorted(set(oids))}
    for store_id in stores:
        try:
            state = await engine.state(store_id)
            snapshot = await engine.snapshot(state)
        except StoreGone:
            continue
        async with engine.view(snapshot.fresher(state)) as view:
            found = await asyncio.to_thread(_read_headers, view.path, having)
            if found:
                refs += await _reaching_refs(engine, view.path, snapshot, frozenset(found))
        headers |= found
        for oid in found:
            having[oid].append(store_id)
    packs, pack_bytes = await _count_packs(engine, stores, oids)
    undo_packs, undo_bytes = await _count_undo_packs(engine, stores, oids)
    return PurgePreview(
        stores=tuple(stores),
        objects=tuple(_previewed(oid, headers.get(oid), holders) for oid, holders in having.items()),
        refs=tuple(refs),
        packs=packs,
        pack_bytes=pack_bytes,
        undo_packs=undo_packs,
        undo_bytes=undo_bytes,
    )


def _previewed(oid: Oid, header: tuple[ObjectKind, int] | None, holders: Sequence[int]) -> PreviewedObject:
    kind, size = header or (None, None)
    return PreviewedObject(oid, kind, size, tuple(holders))


def _read_headers(git_dir: Path, oids: Collection[Oid]) -> dict[Oid, tuple[ObjectKind, int]]:
    """Return kind and size in bytes of those that are there; no content is read. Blocks."""
    repository = open_repository(git_dir)
    found: dict[Oid, tuple[ObjectKind, int]] = {}
    for oid in oids:
        if oid in repository:
            kind, size = repository.odb.read_header(oid)
            found[oid] = (_KINDS[int(kind)], size)
    return found


async def _reaching_refs(
    engine: Engine, git_dir: Path, snapshot: RefSnapshot, oids: Collection[Oid]
) -> list[tuple[int, RefName]]:
    values = sorted({ref.oid for ref in snapshot.refs})
    reaching = await which_reach(engine.runner, Objects(git_dir), values, oids)
    return [(snapshot.state.id, ref.name) for ref in snapshot.refs if ref.oid in reaching]


async def _count_packs(engine: Engine, stores: Sequence[int], oids: Collection[Oid]) -> tuple[int, int]:
    """Return how many packs hold one of the objects, and the bytes of these packs."""
    count = total = 0
    for pack in await packs_of(engine.database, stores):
        async with open_index(engine, pack.key) as path:
            if path is not None and await asyncio.to_thread(holds_any, path, oids):
                count, total = count + 1, total + pack.pack_bytes
    return count, total


async def _count_undo_packs(engine: Engine, stores: Sequence[int], oids: Collection[Oid]) -> tuple[int, int]:
    count = total = 0
    async with engine.database.read() as session:
        packs = list(await session.scalars(select(UndoPack).where(UndoPack.store_id.in_(stores))))
    for pack in packs:
        async with open_index(engine, pack.key) as path:
            # One without an index goes too; see cairn.git.purge.
            if path is None or await asyncio.to_thread(holds_any, path, oids):
                count, total = count + 1, total + pack.pack_bytes
    return count, total
