"""When mirrors are synced: one job for each that is due. Killed at any moment, another attempt does it anew."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import CairnError
from cairn.base.log import get_logger
from cairn.db.changes import count_changed
from cairn.db.clock import database_now
from cairn.git.engine import Engine
from cairn.git.places import on_behalf_of
from cairn.jobs.context import JobContext, LeaseLost
from cairn.jobs.registry import handler, scheduled
from cairn.repositories.imports.models import ImportState, RepositoryImport
from cairn.repositories.mirrors.guard import SYNC_KIND, SyncOf, ask_for_sync
from cairn.repositories.mirrors.models import SYNC_SECONDS_MAX, Mirror, MirrorState
from cairn.repositories.mirrors.pull import pull
from cairn.repositories.mirrors.push import push
from cairn.repositories.mirrors.sync import SyncGivenUp, begin_sync, fail_sync, finish_sync
from cairn.repositories.models import Repository

ATTEMPTS_MAX = 3
_AT_ONCE = 100
_ASKED_FOR = timedelta(hours=1)
"""So long a mirror that was handed to the queue is not handed to it again; its job says when it is due next."""

_log = get_logger(__name__)


@handler(SYNC_KIND, attempts_max=ATTEMPTS_MAX, deadline_seconds=SYNC_SECONDS_MAX)
async def sync_mirror(context: JobContext, payload: SyncOf) -> None:
    """Bring both sides in step; where that fails, the row says why and when it is tried again."""
    engine, mirror_id = context.service(Engine), payload.mirror_id
    if engine.settings.mirrors == "off":
        return
    try:
        await _sync(context, engine, mirror_id)
    except LeaseLost:
        raise
    except SyncGivenUp:
        _log.info("mirror_sync_given_up", mirror_id=mirror_id)
    except CairnError as error:
        _log.info("mirror_sync_failed", mirror_id=mirror_id, reason=type(error).__name__)
        await fail_sync(context, mirror_id, error.message)
    except Exception:
        if context.attempt == ATTEMPTS_MAX:
            await fail_sync(context, mirror_id, "Something went wrong here; the operator finds it in the log.")
        raise


async def _sync(context: JobContext, engine: Engine, mirror_id: int) -> None:
    sync = await begin_sync(context, engine, mirror_id)
    if sync is None:
        return
    with on_behalf_of(f"account:{sync.mirror.account_id}"):
        result = await (pull(sync) if sync.mirror.is_pull else push(sync))
    await finish_sync(sync, result)


@scheduled("repositories.sync_mirrors", every=timedelta(minutes=1))
async def ask_for_due_mirrors(context: JobContext) -> None:
    """Every mirror whose time has come has a job."""
    if context.service(Engine).settings.mirrors == "off":
        return
    found: Sequence[int] = range(_AT_ONCE)
    while len(found) == _AT_ONCE:
        async with context.database.read() as session:
            found = await _list_due(session)
        for mirror_id in found:
            async with context.database.write() as session:
                await _ask(session, mirror_id)


async def _list_due(session: AsyncSession) -> Sequence[int]:
    """Return some hundred mirrors whose time has come, the longest waiting first."""
    moment = await database_now(session)
    importing = exists().where(
        RepositoryImport.repository_id == Mirror.repository_id,
        RepositoryImport.state.in_([ImportState.WAITING, ImportState.RUNNING]),
    )
    # ix_repository_mirror_state_due_at
    due = (
        select(Mirror.id)
        .join(Repository, Repository.id == Mirror.repository_id)
        .where(
            Mirror.state == MirrorState.ACTIVE,
            Mirror.due_at <= moment,
            Repository.is_deleted.is_(False),
            Repository.is_archived.is_(False),
            ~importing,
        )
        .order_by(Mirror.due_at, Mirror.id)
        .limit(_AT_ONCE)
    )
    return (await session.scalars(due)).all()


async def _ask(session: AsyncSession, mirror_id: int) -> None:
    """Enqueue a mirror unless another node did so since it was listed, or it is no longer due."""
    moment = await database_now(session)
    taken = (
        update(Mirror)
        .where(Mirror.id == mirror_id, Mirror.state == MirrorState.ACTIVE, Mirror.due_at <= moment)
        .values(due_at=moment + _ASKED_FOR)
    )
    if await count_changed(session, taken) == 1:
        await ask_for_sync(session, mirror_id)
