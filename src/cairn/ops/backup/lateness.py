"""Is there a backup, is it young enough, and does it restore? For the readiness page and the metrics."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.runs import last_run

INTERVALS = 2
"""A backup is late after so many intervals: one may fail and be tried again."""


@dataclass(frozen=True, slots=True)
class BackupAges:
    """Seconds since the newest backup and the newest drill that ended well; None where none ever did."""

    backup_seconds: float | None
    drill_seconds: float | None


async def backup_ages(database: Database) -> BackupAges:
    """Return how old the newest backup and drill are."""
    now = await database.now()
    backup, drilled = await last_run(database, RunKind.CREATE), await last_run(database, RunKind.DRILL)
    return BackupAges(_age(now, backup.done_at), _age(now, drilled.done_at))


async def backup_problem(settings: Settings, database: Database) -> str:
    """Return what is wrong with the backups, in a sentence; empty where all is well, or none are to be made."""
    if not (settings.backup_url and settings.backup_every_seconds):
        return ""
    now = await database.now()
    backup = await last_run(database, RunKind.CREATE)
    why = f"; the last try failed at {backup.failed_at:%H:%M} UTC: {backup.told}" if backup.failed_at else ""
    if backup.done_at is None:
        return f"there is no backup yet{why}"
    if backup.done_at < now - timedelta(seconds=INTERVALS * settings.backup_every_seconds):
        return f"the newest backup is of {backup.done_at:%Y-%m-%d %H:%M} UTC{why}"
    drilled = await last_run(database, RunKind.DRILL)
    return f"the newest drill failed: {drilled.told}" if drilled.failed_at else ""


def _age(now: datetime, at: datetime | None) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())
