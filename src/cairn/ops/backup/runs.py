"""Who is at work on a target: one at a time, known by a row that is kept alive.

Making a backup relies on copies it finds, pruning deletes copies: the unique ``place`` of a row keeps the two apart.
A program that dies leaves a row whose time runs out, and the next one takes its place.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.exc import IntegrityError

from cairn.base.errors import CairnError, Conflict
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database, DatabaseAway
from cairn.ops.backup.models import BackupRun, RunKind, RunState

LIFETIME = timedelta(minutes=10)
"""A run that was not kept alive for so long is dead."""
BEAT_SECONDS = 60.0
RUNS_KEPT = timedelta(days=400)
_TOLD_LENGTH_MAX = 1000
_log = get_logger(__name__)


class TargetBusy(Conflict):
    """Another run works on the same target."""


class RunLost(Conflict):
    """A run was taken for dead: what it was about to finish must not be finished."""


@dataclass(slots=True)
class Run:
    """One run under way. ``told`` becomes its sentence; ``beats`` are done each minute, with the row."""

    id: str
    started_at: datetime
    told: str = ""
    beats: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a kind that ended well, and what the newest of all says."""

    done_at: datetime | None
    failed_at: datetime | None
    told: str = ""


def place_of(url: str) -> str:
    """Return the name under which a target is held: its address may hold secrets."""
    return hashlib.sha256(url.encode()).hexdigest()


@asynccontextmanager
async def running(database: Database, kind: RunKind, *, place: str | None, backup: str = "") -> AsyncIterator[Run]:
    """Record a run and keep it alive until the block ends; TargetBusy if ``place`` is held by a run that lives.

    The block is cancelled, and RunLost raised, if the row cannot be kept. Its own errors pass, noted in the row.
    """
    run = await _begin(database, kind, place, backup)
    error: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(_keep_alive(database, run))
            try:
                yield run
            finally:
                keeper.cancel()
    except BaseExceptionGroup as failed:
        error = failed.exceptions[0]
    except BaseException as failed:
        error = failed
    if error is None:
        await _end(database, run, RunState.DONE, run.told)
        return
    reason = error.message if isinstance(error, CairnError) else type(error).__name__
    await _end(database, run, RunState.FAILED, reason)
    raise error


async def last_run(database: Database, kind: RunKind) -> LastRun:
    """Return when a run of a kind last ended well, and when one failed since; ``told`` is the newest run's sentence."""
    async with database.read() as session:
        # ix_backup_run_kind_started_at
        newest = list(
            await session.scalars(
                select(BackupRun)
                .where(BackupRun.kind == kind, BackupRun.state != RunState.RUNNING)
                .order_by(BackupRun.started_at.desc())
                .limit(1)
            )
        )
        done_at = await session.scalar(
            select(BackupRun.finished_at)
            .where(BackupRun.kind == kind, BackupRun.state == RunState.DONE)
            .order_by(BackupRun.started_at.desc())
            .limit(1)
        )
    is_failed = bool(newest) and newest[0].state is RunState.FAILED
    return LastRun(done_at, newest[0].finished_at if is_failed else None, newest[0].told if newest else "")


async def drills_of(database: Database) -> dict[str, BackupRun]:
    """Return the newest drill of each backup that had one."""
    async with database.read() as session:
        found = await session.scalars(
            select(BackupRun).where(BackupRun.kind == RunKind.DRILL).order_by(BackupRun.started_at)
        )
        return {run.backup: run for run in found}


async def _begin(database: Database, kind: RunKind, place: str | None, backup: str) -> Run:
    run_id = random_id()
    try:
        async with database.write() as session:
            moment = await database_now(session)
            await session.execute(delete(BackupRun).where(BackupRun.started_at < moment - RUNS_KEPT))
            dead = BackupRun.place.is_not(None) & (BackupRun.alive_until < moment)
            await session.execute(
                update(BackupRun).where(dead).values(place=None, state=RunState.FAILED, told="died", finished_at=moment)
            )
            session.add(
                BackupRun(
                    id=run_id,
                    kind=kind,
                    backup=backup,
                    place=place,
                    state=RunState.RUNNING,
                    started_at=moment,
                    alive_until=moment + LIFETIME,
                )
            )
    except IntegrityError:
        raise TargetBusy("Another backup or prune works on this target; wait for its end.") from None
    return Run(run_id, moment)


async def _keep_alive(database: Database, run: Run) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            await _beat(database, run)
        except DatabaseAway as error:
            # The row outlives several beats; if the database stays away the run's own work fails soon enough.
            _log.warning("backup_beat_failed", run=run.id, error=error.message)


async def _beat(database: Database, run: Run) -> None:
    async with database.write() as session:
        moment = await database_now(session)
        kept = await session.execute(
            update(BackupRun)
            .where(BackupRun.id == run.id, BackupRun.state == RunState.RUNNING)
            .values(alive_until=moment + LIFETIME)
        )
        assert isinstance(kept, CursorResult)
    if kept.rowcount != 1:
        raise RunLost("this run was silent for so long that it was taken for dead; begin again")
    for beat in run.beats:
        await beat()


async def require_alive(database: Database, run: Run) -> None:
    """Return if the run still holds its place, and keep it so for LIFETIME; RunLost otherwise."""
    await _beat(database, run)


async def _end(database: Database, run: Run, state: RunState, told: str) -> None:
    try:
        async with database.write() as session:
            await session.execute(
                update(BackupRun)
                .where(BackupRun.id == run.id, BackupRun.state == RunState.RUNNING)
                .values(place=None, state=state, told=told[:_TOLD_LENGTH_MAX], finished_at=await database_now(session))
            )
    except CairnError as error:
        _log.warning("backup_run_not_ended", run=run.id, error=error.message)
