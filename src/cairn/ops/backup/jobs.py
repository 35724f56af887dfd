"""Backups on a schedule: the worker makes them, prunes, carries the deny list over and drills."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import MetaData

from cairn.base.log import get_logger
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.git.engine import Engine
from cairn.jobs.context import JobContext
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import handler, scheduled
from cairn.ops.backup.create import Live, create_backup
from cairn.ops.backup.denials import write_denials
from cairn.ops.backup.drill import drill
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.prune import prune_backups
from cairn.ops.backup.runs import LastRun, last_run
from cairn.ops.backup.target import BackupNotFound, BackupTarget, open_target

CREATE_KIND = "ops.backup.create"
DRILL_KIND = "ops.backup.drill"
LOOKED_EVERY = timedelta(minutes=10)
RETRIED_AFTER = timedelta(hours=1)
"""A backup that failed is tried again so soon, instead of after its whole interval."""
DEADLINE_SECONDS = 24 * 3600.0
_log = get_logger(__name__)


class Nothing(msgspec.Struct, frozen=True):
    """A payload that says nothing."""


def is_due(run: LastRun, every_seconds: int, now: datetime) -> bool:
    """Tell whether a run is due; 0 seconds is never."""
    if not every_seconds or (run.failed_at is not None and run.failed_at > now - RETRIED_AFTER):
        return False
    return run.done_at is None or run.done_at <= now - timedelta(seconds=every_seconds)


def next_due(run: LastRun, every_seconds: int, now: datetime) -> datetime | None:
    """Return when the next run is due, ``now`` at the soonest; None for never. It agrees with ``is_due``."""
    if not every_seconds:
        return None
    interval = now if run.done_at is None else run.done_at + timedelta(seconds=every_seconds)
    retry = now if run.failed_at is None else run.failed_at + RETRIED_AFTER
    return max(now, interval, retry)


@scheduled("ops.backup", every=LOOKED_EVERY)
async def look_after_backups(context: JobContext) -> None:
    """Have a backup or a drill made if one is due, and tell the target what was purged since."""
    settings = context.service(Settings)
    if not settings.backup_url:
        return
    now = await context.database.now()
    for kind, run, every_seconds in (
        (CREATE_KIND, RunKind.CREATE, settings.backup_every_seconds),
        (DRILL_KIND, RunKind.DRILL, settings.backup_drill_every_seconds),
    ):
        if is_due(await last_run(context.database, run), every_seconds, now):
            async with context.database.write() as session:
                await enqueue(session, kind, Nothing(), unique_key=kind)
    await write_denials(context.database, _target(settings))


@handler(CREATE_KIND, attempts_max=1, deadline_seconds=DEADLINE_SECONDS)
async def create_scheduled(context: JobContext, payload: Nothing) -> None:
    """Make a backup, then delete those past their retention."""
    settings = context.service(Settings)
    target = _target(settings)
    live = Live(settings, context.database, context.service(Engine).storage, context.service(MetaData))
    manifest = await create_backup(live, target)
    if not manifest.is_whole:
        _log.error("backup_lacks_objects", backup=manifest.id, missing=len(manifest.missing))
    pruned = await prune_backups(settings, context.database, target)
    _log.info(
        "backup_made",
        backup=manifest.id,
        objects=manifest.objects,
        copied=manifest.copied,
        bytes=manifest.copied_bytes,
        pruned=len(pruned.backups),
    )


@handler(DRILL_KIND, attempts_max=1, deadline_seconds=DEADLINE_SECONDS)
async def drill_scheduled(context: JobContext, payload: Nothing) -> None:
    """Restore the newest backup into a scratch place and examine it."""
    settings = context.service(Settings)
    try:
        drilled = await drill(settings, context.database, _target(settings), context.service(SecretBox))
    except BackupNotFound:
        return  # nothing to drill yet: the readiness page says that there is no backup
    for finding in drilled.findings:
        _log.error("backup_drill_finding", backup=drilled.manifest.id, finding=finding)
    _log.info("backup_drilled", backup=drilled.manifest.id, stores=drilled.stores, findings=len(drilled.findings))


def _target(settings: Settings) -> BackupTarget:
    return open_target(settings, settings.backup_url)
