"""Jobs of forks: filling one whose parent must be cut first, giving a repository its own packs, shutting doors.

Each may be killed at any moment and run again: what they publish lands once.
"""

from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import CairnError, Unavailable
from cairn.base.log import get_logger
from cairn.git.engine import Engine
from cairn.git.forks import CutStep, cut_base, make_own
from cairn.git.store_state import StoreGone
from cairn.jobs.context import JobContext, LeaseLost
from cairn.jobs.registry import handler, scheduled
from cairn.repositories.fork import fail_fork, fill_fork
from cairn.repositories.models import Repository, RepositoryWork, WorkKind, WorkStep
from cairn.repositories.network import (
    FILL_KIND,
    SEPARATE_KIND,
    WorkOn,
    guard_private_fork,
    list_private_forks,
    work_of,
)

CUT_SECONDS_MAX = 6 * 3600
"""The first cut of a large repository rewrites it."""

CUTS_MAX = 10
"""A parent that is pushed to all the time moves on during each cut, but each is smaller than the one before."""

_FORKS_AT_ONCE = 100
_log = get_logger(__name__)


@handler(FILL_KIND, deadline_seconds=CUT_SECONDS_MAX)
async def fill(context: JobContext, payload: WorkOn) -> None:
    """Cut the parent's base and give the fork its refs, unless that is done already."""
    engine = context.service(Engine)
    fork_id = payload.repository_id
    try:
        for _ in range(CUTS_MAX):
            if await fill_fork(engine, fork_id) or not await _cut_for(context, engine, fork_id):
                return
    except (Unavailable, LeaseLost):
        raise  # another attempt, or another worker
    except CairnError as error:
        _log.warning("fork_failed", repository_id=fork_id, reason=error.message)
        await fail_fork(context.database, fork_id, error.message)


async def _cut_for(context: JobContext, engine: Engine, fork_id: int) -> bool:
    """Cut the base of the fork's parent; False if nothing is to be done any more."""
    async with context.database.read() as session:
        work = await work_of(session, fork_id, WorkKind.FILL)
        fork = await session.get(Repository, fork_id)
        parent = None if fork is None or fork.parent_id is None else await session.get(Repository, fork.parent_id)
    if work is None or work.step is WorkStep.FAILED or parent is None:
        return False

    async def progress(step: CutStep) -> None:
        async with context.database.write() as session:
            work = await work_of(session, fork_id, WorkKind.FILL)
            if work is not None:
                work.step = WorkStep(step.value)

    await cut_base(engine, parent.store_id, within=context.still_mine, progress=progress)
    return True


@handler(SEPARATE_KIND, deadline_seconds=CUT_SECONDS_MAX)
async def separate(context: JobContext, payload: WorkOn) -> None:
    """Give a repository whose readers became fewer packs that it shares with nobody; then the change is complete."""
    repository_id = payload.repository_id

    async def done(session: AsyncSession) -> None:
        await context.still_mine(session)
        await session.execute(
            delete(RepositoryWork).where(
                RepositoryWork.repository_id == repository_id, RepositoryWork.kind == WorkKind.SEPARATE
            )
        )

    async with context.database.read() as session:
        repository = await session.get(Repository, repository_id)
    if repository is None:
        return
    try:
        if not await make_own(context.service(Engine), repository.store_id, within=done):
            async with context.database.write() as session:
                await done(session)
    except StoreGone:
        _log.info("separation_given_up", repository_id=repository_id)


@scheduled("repositories.guard_private_forks", every=timedelta(minutes=10))
async def guard_private_forks(context: JobContext) -> None:
    """Hold every private fork to its rule: who lost the parent in any way has lost the fork."""
    after = 0
    while True:
        async with context.database.read() as session:
            forks = await list_private_forks(session, after=after, limit=_FORKS_AT_ONCE)
        for fork_id in forks:
            async with context.database.write() as session:
                await guard_private_fork(session, fork_id)
        if len(forks) < _FORKS_AT_ONCE:
            return
        after = forks[-1]
