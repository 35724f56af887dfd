"""Objects that no pointer names any more leave their repository, as git's own objects do: after a fortnight.

What stays is what a pointer names in any commit that the refs reach, or a ref value of ROOTS_KEPT (14 days and two
hours), and what a client sent, or was told to be here, within that time: it may be about to push the pointer. The
bytes go later, when no repository has them (``condemned_blobs``).
"""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.ref_queries import ROOTS_KEPT, retained_roots
from cairn.jobs.context import JobContext
from cairn.lfs.authorization import REPOSITORY, hold_repository
from cairn.lfs.models import LfsObject, LfsUsage
from cairn.lfs.objects import OIDS_AT_ONCE, Usage, remove_objects
from cairn.lfs.pointers import named_by

COLLECTED_AT_MOST_EVERY = timedelta(days=7)
FOUND_MAX = 1000
"""Repositories of one scan; the next one finds the rest."""


async def find_collectable(database: Database) -> list[int]:
    """Return the repositories with objects that were not looked through for a week, longest ago first."""
    async with database.read() as session:
        before = await database_now(session, plus=-COLLECTED_AT_MOST_EVERY)
        # ix_lfs_usage_collected_at
        found = await session.scalars(
            select(LfsUsage.repository_id)
            .where(LfsUsage.collected_at < before, LfsUsage.objects > 0)
            .order_by(LfsUsage.collected_at)
            .limit(FOUND_MAX)
        )
        return list(found)


async def collect_objects(engine: Engine, repository_id: int, *, context: JobContext | None = None) -> Usage:
    """The repository has no object that nothing names and nobody wanted for ROOTS_KEPT; return what went.

    Errors: NotFound if the repository is gone; StoreGone, PackDamaged, GitFailed: then nothing is removed.
    """
    database = engine.database
    cutoff = await database.now() - ROOTS_KEPT
    old = await _unwanted(database, repository_id, cutoff)
    named: dict[str, int] = {}
    if old:
        state = await engine.state(await _store_of(database, repository_id))
        snapshot = await engine.snapshot(state)
        state = snapshot.fresher(state)
        async with database.read() as session:
            roots = await retained_roots(session, state, snapshot.tips, kept=ROOTS_KEPT)
        named = await named_by(engine, state, roots)
    unnamed = sorted(old - named.keys())
    gone = Usage()
    for start in range(0, len(unnamed), OIDS_AT_ONCE):
        part = unnamed[start : start + OIDS_AT_ONCE]

        async def change(session: AsyncSession, part: list[str] = part) -> Usage:
            await hold_repository(session, repository_id)
            if context is not None:
                await context.still_mine(session)
            # Again, under the lock: a client may have been told meanwhile that it is here.
            still = await session.scalars(
                select(LfsObject.oid)
                .where(LfsObject.repository_id == repository_id, LfsObject.oid.in_(part), LfsObject.wanted_at < cutoff)
                .with_for_update()
            )
            return await remove_objects(session, repository_id, list(still))

        removed = await database.write_retrying(change)
        gone = Usage(gone.objects + removed.objects, gone.object_bytes + removed.object_bytes)
    async with database.write() as session:
        await session.execute(
            update(LfsUsage).where(LfsUsage.repository_id == repository_id).values(collected_at=now())
        )
    return gone


async def _unwanted(database: Database, repository_id: int, cutoff: datetime) -> set[str]:
    async with database.read() as session:
        # Primary key of lfs_object.
        found = await session.scalars(
            select(LfsObject.oid).where(LfsObject.repository_id == repository_id, LfsObject.wanted_at < cutoff)
        )
        return set(found)


async def _store_of(database: Database, repository_id: int) -> int:
    async with database.read() as session:
        found = await session.scalar(select(REPOSITORY.c.store_id).where(REPOSITORY.c.id == repository_id))
    return int(found or 0)
