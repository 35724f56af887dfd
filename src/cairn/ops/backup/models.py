"""The record of what was done with backups; the backups themselves are told by their target alone."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, Base, EnumText, HexId, UtcDateTime


class RunKind(StrEnum):
    """What was done."""

    CREATE = "create"
    PRUNE = "prune"
    DRILL = "drill"


class RunState(StrEnum):
    """How it ended. A run that is ``running`` past its ``alive_until`` died."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class BackupRun(Base):
    """One run; ``place`` is set while it holds its target for itself, and unique."""

    __tablename__ = "backup_run"
    __table_args__ = (Index("ix_backup_run_kind_started_at", "kind", "started_at"), MYSQL_TABLE)

    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    kind: Mapped[RunKind] = mapped_column(EnumText(RunKind, 16))
    backup: Mapped[str] = mapped_column(String(40), default="")
    """The backup's id; empty for a run that concerns none."""
    place: Mapped[str | None] = mapped_column(String(64), unique=True)
    state: Mapped[RunState] = mapped_column(EnumText(RunState, 16))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    alive_until: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    told: Mapped[str] = mapped_column(String(1000), default="")
    """One sentence for the operator: what was done, or why it failed."""
