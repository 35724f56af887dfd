"""Replacing packs of a store by others: what compaction, collection and purges have in common.

New packs are uploaded first; one transaction (``swap_packs``) requires that every pack that was read is still live and
named, enters the new one and takes the old ones out. What no manifest names any more is condemned.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.commands import GitCommand
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState, Store
from cairn.git.node_cache import View
from cairn.git.pack_files import UploadedPack, enter_manifest
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import IndexedPack, Quarantine
from cairn.git.runner import GitRunner
from cairn.git.store_state import lock_stores

Within = Callable[[AsyncSession], Awaitable[None]]
"""Runs in the transaction of the swap: a job asks there whether it is still its own. Raising leaves all as it was."""


class PacksReplaced(Conflict):
    """The manifest no longer names a pack that was read: the store was deleted, or another worker was faster."""

    def __init__(self) -> None:
        super().__init__("the packs of this store changed while they were read; nothing was replaced")


def own_entries(store_id: int) -> ColumnElement[bool]:
    """Return the condition on manifest entries that may be replaced: base packs, shared with forks, stay whole."""
    return (
        (ManifestEntry.store_id == store_id)
        & (ManifestEntry.pack_store_id == store_id)
        & (ManifestEntry.kind != ManifestKind.BASE)
    )


async def read_own_packs(database: Database, store_id: int) -> list[Pack]:
    """Return the packs of a store's manifest that may be replaced."""
    async with database.read() as session:
        # Primary keys of git_manifest and git_pack.
        rows = await session.scalars(
            select(Pack)
            .join(ManifestEntry, (ManifestEntry.pack_store_id == Pack.store_id) & (ManifestEntry.pack_id == Pack.id))
            .where(own_entries(store_id))
        )
        return list(rows)


def link_packs(view: View, quarantine: Quarantine, pack_ids: Iterable[str], *, is_kept: bool = False) -> None:
    """Give the quarantine these packs of the view. ``is_kept``: git leaves out of new packs what it finds in them.

    PacksReplaced if the view has one no longer. Blocks.
    """
    for pack_id in pack_ids:
        for ending in ("pack", "idx"):
            name = f"pack-{pack_id}.{ending}"
            try:
                os.link(view.objects / "pack" / name, quarantine.packs / name)
            except FileNotFoundError:
                raise PacksReplaced from None
        if is_kept:
            (quarantine.packs / f"pack-{pack_id}.keep").touch()


def packs_in(view: View) -> set[str]:
    """Return the ids of the packs that a view has. Blocks."""
    return {entry.stem.removeprefix("pack-") for entry in (view.objects / "pack").glob("*.idx")}


async def write_pack(
    runner: GitRunner, quarantine: Quarantine, folder: str, options: Sequence[str], stdin: bytes
) -> IndexedPack | None:
    """Have git write one pack into a folder of the quarantine and read every object of it back; None if it is empty.

    Because the sources are at hand, the second step also compares each object with theirs byte by byte.
    """
    target = quarantine.path / folder
    target.mkdir()
    pack = GitCommand(
        name="pack-objects",
        # One thread: whoever clones meanwhile comes first.
        options=(*options, "--delta-base-offset", "--threads=1", "--non-empty", "-q"),
        folders=(target / "pack",),
    )
    output = await runner.run(pack, git_dir=quarantine.path, stdin=stdin)
    names = output.split()
    if not names:
        return None
    checksum = names[-1].decode("ascii")
    written = target / f"pack-{checksum}.pack"
    verify = GitCommand(name="index-pack", options=("--threads=1",), folders=(written,))
    await runner.run(verify, git_dir=quarantine.path)
    return await asyncio.to_thread(_describe, written, checksum)


def _describe(written: Path, checksum: str) -> IndexedPack:
    with PackIndex.open(written.with_suffix(".idx")) as index:
        objects = len(index)
    return IndexedPack(written, written.with_suffix(".idx"), objects, (), written.stat().st_size, checksum)


async def swap_packs(
    session: AsyncSession,
    store_id: int,
    sources: Sequence[str],
    uploaded: UploadedPack | None,
    *,
    within: Within | None = None,
) -> tuple[Store, datetime]:
    """The manifest names the new pack (None: nothing) instead of its sources; whoever reads sees all of it or nothing.

    Returns the locked store and the time. Errors: StoreGone, PacksReplaced, UploadExpired, what ``within`` raises.
    """
    store = (await lock_stores(session, [store_id]))[store_id]
    if within is not None:
        await within(session)
    is_source = (Pack.store_id == store_id) & Pack.id.in_(sources)
    locked = await session.scalars(
        select(Pack.pack_bytes).where(is_source, Pack.state == PackState.LIVE).order_by(Pack.id).with_for_update()
    )
    source_bytes = locked.all()
    entries = own_entries(store_id) & ManifestEntry.pack_id.in_(sources)
    # A locking read: under MariaDB's snapshots a plain one could be older than the lock on the store.
    named = await session.scalars(select(ManifestEntry.pack_id).where(entries).with_for_update())
    if len(source_bytes) != len(sources) or len(named.all()) != len(sources):
        raise PacksReplaced
    now = await database_now(session)
    if uploaded is None:
        store.manifest_version += 1
    else:
        await enter_manifest(session, store, uploaded, kind=ManifestKind.COMPACTED, at=now)
    store.pack_bytes -= sum(source_bytes)
    await session.execute(delete(ManifestEntry).where(entries).execution_options(synchronize_session=False))
    still_named = exists().where(ManifestEntry.pack_store_id == Pack.store_id, ManifestEntry.pack_id == Pack.id)
    await session.execute(
        update(Pack)
        .where(is_source, ~still_named)
        .values(state=PackState.CONDEMNED, condemned_at=now)
        .execution_options(synchronize_session=False)
    )
    await session.flush()
    return store, now
