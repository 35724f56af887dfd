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
class BackupHealth:
    """Ages in seconds, None where nothing ended well yet; ``problem`` is a sentence, empty if all is well."""

    backup_age_seconds: float | None
    drill_age_seconds: float | None
    problem: str


async def backup_health(settings: Settings, database: Database) -> BackupHealth:
    """Return how old the newest backup and drill are and what is wrong with that; nothing is where none are wanted."""
    now = await database.now()
    backup = await last_run(database, RunKind.CREATE)
    drilled = await last_run(database, RunKind.DRILL)
    problem = ""
    if settings.backup_url and settings.backup_every_seconds:
        late = timedelta(seconds=INTERVALS * settings.backup_every_seconds)
        if backup.done_at is None:
            problem = f"there is no backup yet{_why(backup.failed_at, backup.told)}"
        elif backup.done_at < now - late:
            problem = (
                f"the newest backup is of {backup.done_at:%Y-%m-%d %H:%M} UTC{_why(backup.failed_at, backup.told)}"
            )
        elif drilled.failed_at is not None:
            problem = f"the newest drill failed: {drilled.told}"
    return BackupHealth(_age(now, backup.done_at), _age(now, drilled.done_at), problem)


def _why(failed_at: datetime | None, told: str) -> str:
    return "" if failed_at is None else f"; the last try failed at {failed_at:%H:%M} UTC: {told}"


def _age(now: datetime, at: datetime | None) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())
