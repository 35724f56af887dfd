"""The objects of a repository: looking them up, adding and removing rows with the sums that go with them.

A row says that the repository has the object. Only three things make one: bytes that were sent for this repository and
proved (``uploads``), and a fork, which begins with its parent's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import now
from cairn.db.database import Database
from cairn.lfs.authorization import hold_repository
from cairn.lfs.models import LfsBlob, LfsLock, LfsObject, LfsUsage

OIDS_AT_ONCE = 500
WANTED_NOTED_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that a repository has: its SHA-256 in hex, its size in bytes, and the key of its bytes.

    ``wanted_at`` is when a client last sent it, or was told that it need not.
    """

    oid: str
    size: int
    key: str
    wanted_at: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """What a repository, or everything of an owner, has in all."""

    objects: int = 0
    object_bytes: int = 0


async def find_object(session: AsyncSession, repository_id: int, oid: str) -> StoredObject | None:
    """Return an object of a repository, None if the repository has none of this SHA-256."""
    return (await find_objects(session, repository_id, [oid])).get(oid)


async def find_objects(session: AsyncSession, repository_id: int, oids: Collection[str]) -> dict[str, StoredObject]:
    """Return those of the objects that the repository has, by SHA-256."""
    found: dict[str, StoredObject] = {}
    wanted = list(oids)
    for start in range(0, len(wanted), OIDS_AT_ONCE):
        # Primary keys of lfs_object and lfs_blob.
        rows = await session.execute(
            select(LfsObject.oid, LfsObject.size, LfsBlob.key, LfsObject.wanted_at)
            .join(LfsBlob, LfsBlob.sha256 == LfsObject.oid)
            .where(LfsObject.repository_id == repository_id, LfsObject.oid.in_(wanted[start : start + OIDS_AT_ONCE]))
        )
        found |= {oid: StoredObject(oid, size, key, wanted_at) for oid, size, key, wanted_at in rows}
    return found


async def note_wanted(database: Database, repository_id: int, objects: Collection[StoredObject]) -> int:
    """Somebody was told just now that these are here: collection leaves them to a push that may be about to come.

    Return how many were not noted within the last day.
    """
    before = await database.now() - WANTED_NOTED_EVERY
    oids = [found.oid for found in objects if found.wanted_at < before]
    for start in range(0, len(oids), OIDS_AT_ONCE):
        async with database.write() as session:
            await session.execute(
                update(LfsObject)
                .where(LfsObject.repository_id == repository_id, LfsObject.oid.in_(oids[start : start + OIDS_AT_ONCE]))
                .values(wanted_at=now())
                .execution_options(synchronize_session=False)
            )
    return len(oids)


async def usage_of(session: AsyncSession, repository_id: int) -> Usage:
    """Return what a repository has in all."""
    row = await session.get(LfsUsage, repository_id, populate_existing=True)
    return Usage() if row is None else Usage(row.objects, row.object_bytes)


async def add_object(session: AsyncSession, repository_id: int, oid: str, size: int) -> None:
    """The repository has an object that it had not; who calls holds its row."""
    await _grow(session, repository_id, Usage(1, size))
    session.add(LfsObject(repository_id=repository_id, oid=oid, size=size, created_at=now(), wanted_at=now()))
    await session.flush()


async def remove_objects(session: AsyncSession, repository_id: int, oids: Sequence[str]) -> Usage:
    """The repository has none of these any more; return what went. Who calls holds its row."""
    of_these = (LfsObject.repository_id == repository_id, LfsObject.oid.in_(oids))
    objects, object_bytes = (
        await session.execute(select(func.count(), func.coalesce(func.sum(LfsObject.size), 0)).where(*of_these))
    ).one()
    gone = Usage(int(objects), int(object_bytes))
    await session.execute(delete(LfsObject).where(*of_these))
    await _grow(session, repository_id, Usage(-gone.objects, -gone.object_bytes))
    return gone


async def inherit_objects(session: AsyncSession, *, parent_id: int, fork_id: int) -> None:
    """The fork has every object that its parent has: who may fork a repository may read all of them."""
    await hold_repository(session, fork_id)
    if await usage_of(session, parent_id) == Usage():
        return
    rows = select(literal(fork_id), LfsObject.oid, LfsObject.size, now(), now())
    rows = rows.where(LfsObject.repository_id == parent_id)
    has = select(LfsObject.oid).where(LfsObject.repository_id == fork_id)
    columns = ["repository_id", "oid", "size", "created_at", "wanted_at"]
    await session.execute(insert(LfsObject).from_select(columns, rows.where(LfsObject.oid.not_in(has))))
    objects, object_bytes = (
        await session.execute(
            select(func.count(), func.coalesce(func.sum(LfsObject.size), 0)).where(LfsObject.repository_id == fork_id)
        )
    ).one()
    before = await usage_of(session, fork_id)
    added = Usage(int(objects) - before.objects, int(object_bytes) - before.object_bytes)
    if added.objects:
        await _grow(session, fork_id, added)


async def forget_repository(session: AsyncSession, repository_id: int) -> None:
    """A repository that is about to be deleted has neither objects nor locks; bytes that nobody has go later."""
    for model in (LfsObject, LfsUsage, LfsLock):
        await session.execute(delete(model).where(model.repository_id == repository_id))


async def _grow(session: AsyncSession, repository_id: int, by: Usage) -> None:
    values = {
        "objects": LfsUsage.objects + by.objects,
        "object_bytes": LfsUsage.object_bytes + by.object_bytes,
    }
    if await session.get(LfsUsage, repository_id) is None:
        await session.execute(
            insert(LfsUsage).values(
                repository_id=repository_id, objects=by.objects, object_bytes=by.object_bytes, collected_at=now()
            )
        )
    else:
        await session.execute(
            update(LfsUsage)
            .where(LfsUsage.repository_id == repository_id)
            .values(values)
            .execution_options(synchronize_session=False)
        )
