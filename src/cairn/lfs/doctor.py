"""Compares what the tables say of a repository's large objects with the object store, and with what its refs name.

Made to run beside uploads, collection and deletion: what looks wrong is looked at once more before it is reported.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.settings import MIB
from cairn.db.database import Database
from cairn.git.doctor import Finding, shortened
from cairn.git.engine import Engine
from cairn.git.runner import GitFailed
from cairn.lfs.authorization import hold_repository
from cairn.lfs.models import BlobState, LfsBlob, LfsObject, LfsUsage
from cairn.lfs.objects import Usage, find_objects, usage_of
from cairn.lfs.pointers import named_by
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

_PAGE_ROWS = 500
_LOOKS_AT_ONCE = 16
_HASHED_AT_ONCE = MIB


@dataclass(frozen=True, slots=True)
class _Row:
    """An object of the repository and the bytes it stands for."""

    oid: str
    size: int
    key: str
    stored_size: int
    state: BlobState


async def examine_objects(
    engine: Engine, repository_id: int, store_id: int, *, is_deep: bool = False, may_lack_objects: bool = False
) -> list[Finding]:
    """Return everything that is wrong with the large objects of a repository; empty if all is well.

    ``is_deep`` reads every object and hashes it, else sizes are looked at. ``may_lack_objects`` where the repository
    takes pointers to objects that are lost. Errors: StoreGone, PackDamaged, the storage's Unavailable.
    """
    findings = await _examine_rows(engine, repository_id, is_deep=is_deep)
    findings += await _examine_sum(engine.database, repository_id)
    if not may_lack_objects:
        findings += await _examine_pointers(engine, repository_id, store_id)
    return findings


async def mend_objects(database: Database, repository_id: int) -> None:
    """The repository's sums are those of its rows."""

    async def change(session: AsyncSession) -> None:
        await hold_repository(session, repository_id)
        counted = await _count(session, repository_id)
        await session.execute(
            update(LfsUsage)
            .where(LfsUsage.repository_id == repository_id)
            .values(objects=counted.objects, object_bytes=counted.object_bytes)
        )

    await database.write_retrying(change)


async def _examine_rows(engine: Engine, repository_id: int, *, is_deep: bool) -> list[Finding]:
    findings, after = list[Finding](), ""
    places = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def look(row: _Row) -> Finding | None:
        async with places:
            return await _look(engine, repository_id, row, is_deep=is_deep)

    while True:
        rows = await _rows(engine.database, repository_id, after)
        looked = await asyncio.gather(*(look(row) for row in rows))
        findings += [finding for finding in looked if finding is not None]
        if len(rows) < _PAGE_ROWS:
            return shortened(findings, "large objects like these")
        after = rows[-1].oid


async def _rows(database: Database, repository_id: int, after: str) -> list[_Row]:
    async with database.read() as session:
        # Primary keys of lfs_object and lfs_blob.
        found = await session.execute(
            select(LfsObject.oid, LfsObject.size, LfsBlob.key, LfsBlob.size, LfsBlob.state)
            .join(LfsBlob, LfsBlob.sha256 == LfsObject.oid)
            .where(LfsObject.repository_id == repository_id, LfsObject.oid > after)
            .order_by(LfsObject.oid)
            .limit(_PAGE_ROWS)
        )
        return [_Row(*row) for row in found]


async def _look(engine: Engine, repository_id: int, row: _Row, *, is_deep: bool) -> Finding | None:
    problem = await _problem(engine.storage, row, is_deep=is_deep)
    if not problem:
        return None
    async with engine.database.read() as session:
        now = (await find_objects(session, repository_id, [row.oid])).get(row.oid)
    if now is None:
        return None  # collected meanwhile
    if now.key != row.key:
        # Sent again meanwhile, to a key of its own.
        again = _Row(row.oid, now.size, now.key, now.size, BlobState.LIVE)
        return await _look(engine, repository_id, again, is_deep=is_deep)
    return Finding(f"Large object {row.oid}: {problem}")


async def _problem(storage: Storage, row: _Row, *, is_deep: bool) -> str:
    """Return what is wrong with an object, empty for nothing."""
    if row.state is BlobState.DELETING:
        return f"{row.key} is being deleted, though the repository has it; send it again with git lfs push --all."
    if row.size != row.stored_size:
        return f"the repository counts {row.size:,} bytes where {row.key} has {row.stored_size:,}."
    advice = "restore this key from the bucket's versions or from a backup, or send the object again."
    try:
        size = (await storage.stat(row.key)).size
        if size != row.size:
            return f"{row.key} has {size:,} bytes instead of {row.size:,}; {advice}"
        if is_deep and await _sha256(storage, row) != row.oid:
            return f"{row.key} has other bytes than its SHA-256 says; {advice}"
    except StorageNotFound:
        return f"{row.key} is missing from the object store; {advice}"
    return ""


async def _sha256(storage: Storage, row: _Row) -> str:
    digest, batch = hashlib.sha256(), bytearray()
    async for chunk in storage.stream(row.key, offset=0, size=row.size):
        batch += chunk
        if len(batch) >= _HASHED_AT_ONCE:
            piece, batch = bytes(batch), bytearray()
            await asyncio.to_thread(digest.update, piece)
    digest.update(batch)
    return digest.hexdigest()


async def _examine_sum(database: Database, repository_id: int) -> list[Finding]:
    async with database.read() as session:
        told, counted = await usage_of(session, repository_id), await _count(session, repository_id)
    if told == counted:
        return []
    return [
        Finding(
            f"Quotas count {told.objects:,} large objects of {told.object_bytes:,} bytes where there are "
            f"{counted.objects:,} of {counted.object_bytes:,}.",
            is_mendable=True,
        )
    ]


async def _count(session: AsyncSession, repository_id: int) -> Usage:
    # Primary key of lfs_object.
    objects, object_bytes = (
        await session.execute(
            select(func.count(), func.coalesce(func.sum(LfsObject.size), 0)).where(
                LfsObject.repository_id == repository_id
            )
        )
    ).one()
    return Usage(int(objects), int(object_bytes))


async def _examine_pointers(engine: Engine, repository_id: int, store_id: int) -> list[Finding]:
    """Return which objects a pointer names that the refs reach, in any commit, and the repository does not have."""
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    try:
        named = await named_by(engine, snapshot.fresher(state), sorted(snapshot.tips))
    except GitFailed as error:
        return [Finding(f"The refs could not be followed to their large objects: {error.message}.")]
    async with engine.database.read() as session:
        found = await find_objects(session, repository_id, named.keys())
    lost = sorted(oid for oid, size in named.items() if size and oid not in found)
    return shortened(_lost(lost, named), "large objects that are not here")


def _lost(oids: Sequence[str], sizes: dict[str, int]) -> list[Finding]:
    return [
        Finding(
            f"Large object {oid} ({sizes[oid]:,} bytes) is named in the history and is not here; send it with git lfs "
            "push --all, or let the repository take pushes whose large files are missing, if it is lost for good."
        )
        for oid in oids
    ]
