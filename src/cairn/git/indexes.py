"""Indexes of a store: files that only make git faster, each over certain packs and of no use without them.

A *graph* is git's commit-graph with changed-path filters: commits, parents and what each changed, without reading a
commit. A *bitmap* is a multi-pack index of the largest packs with the objects that chosen commits reach. Both are
immutable, lie in the object store under keys that are never used twice, and come into a view with its packs.

An index is used only while the manifest names every pack it stands on; then everything it names is there. It is
condemned when a newer one takes its place or a pack of it goes, and deleted when nobody can still be reading it.
Nothing depends on an index: one that is lost or damaged is left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, Base, HexId, UtcDateTime
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.cached_files import StoredFile
from cairn.git.models import ManifestEntry
from cairn.git.pack_files import close_upload
from cairn.git.store_state import lock_stores
from cairn.storage.storage import Storage

INDEX_PREFIX = "indexes"
"""Where indexes lie in the object store, below it one folder a store."""

CONDEMNED_KEPT = timedelta(hours=6)
"""As for packs: a node that began to fetch an index has it by then, or has failed."""

_BATCH_ROWS = 200


class IndexKind(StrEnum):
    """What an index is good for."""

    GRAPH = "graph"
    BITMAP = "bitmap"


class StoreIndex(Base):
    """One index; ``condemned_at`` is None while it may be used."""

    __tablename__ = "git_index"
    __table_args__ = (Index("ix_git_index_condemned_at", "condemned_at"), MYSQL_TABLE)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    kind: Mapped[IndexKind] = mapped_column(String(16))
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """One entry a file: ``place`` (below a view's ``objects``), ``key``, ``size``, ``sha256``."""
    pack_ids: Mapped[list[str]] = mapped_column(JSON)
    """The packs it stands on."""
    objects: Mapped[int] = mapped_column(BigInteger)
    """How many objects those have."""
    condemned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class IndexFiles:
    """An index whose bytes are in the object store, as the node's cache wants it."""

    id: str
    kind: IndexKind
    files: tuple[StoredFile, ...]
    pack_ids: frozenset[str]
    objects: int


def index_key(store_id: int, index_id: str, number: int) -> str:
    """Return the storage key of one file of an index; made from ids only."""
    return f"{INDEX_PREFIX}/{store_id}/{index_id}.{number}"


async def read_indexes(database: Database, store_id: int, pack_ids: Iterable[str]) -> list[IndexFiles]:
    """Return the indexes that may be used beside exactly these packs, of each kind the newest."""
    async with database.read() as session:
        rows = await _live(session, store_id)
    present = frozenset(pack_ids)
    newest = {row.kind: row for row in rows if present.issuperset(row.pack_ids)}
    return [
        IndexFiles(
            row.id,
            IndexKind(row.kind),
            tuple(StoredFile(**file) for file in row.files),
            frozenset(row.pack_ids),
            row.objects,
        )
        for row in newest.values()
    ]


async def publish_index(session: AsyncSession, store_id: int, made: IndexFiles) -> bool:
    """The store has the index from now on instead of older ones; False if one of its packs went meanwhile.

    Its upload row, of the same id, is open. Errors: StoreGone, UploadExpired if the sweeper was first.
    """
    store = (await lock_stores(session, [store_id]))[store_id]
    # A locking read: under MariaDB's snapshots a plain one could be older than the lock on the store.
    named = await session.scalars(
        select(ManifestEntry.pack_id).where(ManifestEntry.store_id == store_id).with_for_update()
    )
    if not made.pack_ids <= set(named):
        return False
    await close_upload(session, store_id, made.id)
    now = await database_now(session)
    await _condemn(session, StoreIndex.store_id == store_id, StoreIndex.kind == made.kind, at=now)
    files = [{"place": file.place, "key": file.key, "size": file.size, "sha256": file.sha256} for file in made.files]
    await session.execute(
        insert(StoreIndex).values(
            store_id=store_id,
            id=made.id,
            kind=made.kind,
            files=files,
            pack_ids=sorted(made.pack_ids),
            objects=made.objects,
            condemned_at=None,
            created_at=now,
        )
    )
    # Views are by version: from now on each has the index.
    store.manifest_version += 1
    await session.flush()
    return True


async def carry_over(session: AsyncSession, store_id: int, sources: Iterable[str], new_pack_id: str) -> None:
    """Graphs that stood on ``sources`` stand on the pack that has exactly their objects.

    Part of the transaction that puts that pack into the manifest, which holds the store's lock. A bitmap cannot come
    along: it knows in which pack each object is.
    """
    replaced = set(sources)
    for row in await _live(session, store_id):
        if row.kind == IndexKind.GRAPH and replaced.intersection(row.pack_ids):
            row.pack_ids = sorted({*row.pack_ids} - replaced | {new_pack_id})
    await session.flush()


async def condemn_unusable(database: Database, storage: Storage, store_id: int) -> int:
    """No index of the store counts as usable whose packs or bytes are gone; return how many did."""
    async with database.read() as session:
        lost = [row.id for row in await _live(session, store_id) if not await _has_bytes(storage, row)]

    async def change(session: AsyncSession) -> int:
        await lock_stores(session, [store_id])
        named = set(await session.scalars(select(ManifestEntry.pack_id).where(ManifestEntry.store_id == store_id)))
        rows = await _live(session, store_id)
        gone = [row.id for row in rows if row.id in lost or not named.issuperset(row.pack_ids)]
        if gone:
            now = await database_now(session)
            await _condemn(session, StoreIndex.store_id == store_id, StoreIndex.id.in_(gone), at=now)
        return len(gone)

    return await database.write_retrying(change)


async def delete_condemned_indexes(database: Database, storage: Storage) -> int:
    """No index that was condemned more than CONDEMNED_KEPT ago is left, neither bytes nor row; return how many went."""
    deleted = 0
    while rows := await _over(database):
        for row in rows:
            for file in row.files:
                await storage.delete(file["key"])
        async with database.write() as session:
            for row in rows:
                await session.execute(
                    delete(StoreIndex).where(StoreIndex.store_id == row.store_id, StoreIndex.id == row.id)
                )
        deleted += len(rows)
    return deleted


async def known_index_keys(session: AsyncSession, store_id: int | None = None) -> set[str]:
    """Return every key of an index that a row names, condemned or not: of one store, or of all."""
    statement = select(StoreIndex.files)
    if store_id is not None:
        statement = statement.where(StoreIndex.store_id == store_id)
    return {file["key"] for files in await session.scalars(statement) for file in files}


async def stores_with_indexes(database: Database) -> list[int]:
    """Return the stores that have a usable index, or one that counts as such."""
    async with database.read() as session:
        found = await session.scalars(select(StoreIndex.store_id).where(StoreIndex.condemned_at.is_(None)).distinct())
        return list(found)


async def _live(session: AsyncSession, store_id: int) -> Sequence[StoreIndex]:
    # Primary key of git_index.
    found = await session.scalars(
        select(StoreIndex)
        .where(StoreIndex.store_id == store_id, StoreIndex.condemned_at.is_(None))
        .order_by(StoreIndex.created_at, StoreIndex.id)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def _condemn(session: AsyncSession, *conditions: Any, at: datetime) -> None:  # noqa: ANN401 (SQL expressions)
    await session.execute(
        update(StoreIndex)
        .where(*conditions, StoreIndex.condemned_at.is_(None))
        .values(condemned_at=at)
        .execution_options(synchronize_session=False)
    )


async def _has_bytes(storage: Storage, row: StoreIndex) -> bool:
    return all([await storage.exists(file["key"]) for file in row.files])


async def _over(database: Database) -> list[StoreIndex]:
    async with database.read() as session:
        before = await database_now(session, plus=-CONDEMNED_KEPT)
        # ix_git_index_condemned_at
        found = await session.scalars(
            select(StoreIndex)
            .where(StoreIndex.condemned_at < before)
            .order_by(StoreIndex.condemned_at, StoreIndex.store_id, StoreIndex.id)
            .limit(_BATCH_ROWS)
        )
        return list(found)
