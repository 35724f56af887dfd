"""What administrators write and what programs say of themselves."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, Base, BigId, EnumText, HexId, UtcDateTime

ANNOUNCEMENT_LENGTH_MAX = 1000


class AnnouncementLevel(StrEnum):
    """How loudly something is said."""

    NOTICE = "notice"
    WARNING = "warning"
    DANGER = "danger"


class Announcement(Base):
    """A banner on every page for a while."""

    __tablename__ = "announcement"
    __table_args__ = (NUMBERED_TABLE,)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    text: Mapped[str] = mapped_column(String(ANNOUNCEMENT_LENGTH_MAX))
    level: Mapped[AnnouncementLevel] = mapped_column(EnumText(AnnouncementLevel, 16))
    is_dismissible: Mapped[bool] = mapped_column(Boolean)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RunningProgram(Base):
    """One process that serves; it renews ``last_seen_at`` while it lives and deletes its row when it stops."""

    __tablename__ = "running_program"
    __table_args__ = (Index("ix_running_program_last_seen_at", "last_seen_at"), MYSQL_TABLE)

    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    node: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16))
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
