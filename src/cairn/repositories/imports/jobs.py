"""The job of an import, and the look at those whose job is gone. Killed at any moment, another attempt goes on."""

from datetime import timedelta

from sqlalchemy import select, update

from cairn.base.errors import CairnError
from cairn.base.log import get_logger
from cairn.db.clock import database_now, now
from cairn.git.engine import Engine
from cairn.git.places import on_behalf_of
from cairn.git.remote_fetch import FETCH_SECONDS
from cairn.jobs.context import JobContext, LeaseLost
from cairn.jobs.registry import handler, scheduled
from cairn.repositories.imports.models import FailureKind, ImportState, RepositoryImport
from cairn.repositories.imports.run import failure_of, is_worth_another_attempt, open_import, run_import
from cairn.repositories.imports.source import open_outside
from cairn.repositories.imports.work import IMPORT_KIND, ImportGivenUp, ImportOf, Progress

ATTEMPTS_MAX = 5
IMPORT_SECONDS_MAX = 2 * FETCH_SECONDS
FORGOTTEN_AFTER = timedelta(seconds=IMPORT_SECONDS_MAX) + timedelta(hours=6)
"""An import nobody has done anything for since then has no job any more: attempts and pauses are shorter."""

_log = get_logger(__name__)


@handler(IMPORT_KIND, attempts_max=ATTEMPTS_MAX, deadline_seconds=IMPORT_SECONDS_MAX)
async def import_repository(context: JobContext, payload: ImportOf) -> None:
    """Bring the repository here; where it fails for good, the row says why and the job is done."""
    engine = context.service(Engine)
    async with context.database.read() as session:
        row = await session.get(RepositoryImport, payload.repository_id)
    if row is None or row.id != payload.import_id or row.state.is_over:
        return
    progress = Progress(context, payload)
    try:
        work = await open_import(context, engine, open_outside(engine.settings), row, progress)
        with on_behalf_of(f"account:{row.account_id}"):
            await run_import(work)
    except LeaseLost:
        raise
    except ImportGivenUp:
        _log.info("import_given_up", repository_id=payload.repository_id)
    except CairnError as error:
        if is_worth_another_attempt(error) and context.attempt < ATTEMPTS_MAX:
            raise
        _log.info("import_failed", repository_id=payload.repository_id, reason=type(error).__name__)
        await _fail(progress, row, *failure_of(error))
    except Exception:
        if context.attempt == ATTEMPTS_MAX:
            await _fail(
                progress, row, FailureKind.OTHER, "Something went wrong here; the operator finds it in the log."
            )
        raise


async def _fail(progress: Progress, row: RepositoryImport, kind: FailureKind, reason: str) -> None:
    try:
        await progress.fail(row, kind, reason)
    except ImportGivenUp:
        _log.info("import_given_up", repository_id=row.repository_id)


@scheduled("repositories.forget_lost_imports", every=timedelta(hours=1))
async def end_lost_imports(context: JobContext) -> None:
    """Imports without a job end, so that no credentials stay longer than they are of use."""
    async with context.database.write() as session:
        before = await database_now(session, plus=-FORGOTTEN_AFTER)
        # ix_repository_import_state_seen_at
        lost = select(RepositoryImport.repository_id).where(
            RepositoryImport.state.in_([ImportState.WAITING, ImportState.RUNNING]), RepositoryImport.seen_at < before
        )
        found = list(await session.scalars(lost))
        for repository_id in found:
            await session.execute(
                update(RepositoryImport)
                .where(RepositoryImport.repository_id == repository_id, RepositoryImport.seen_at < before)
                .values(
                    state=ImportState.FAILED,
                    sealed=None,
                    failure_kind=FailureKind.OTHER,
                    failure="No worker has done anything for this import for a long time. Try again.",
                    finished_at=now(),
                )
            )
    if found:
        _log.warning("imports_lost", count=len(found))
