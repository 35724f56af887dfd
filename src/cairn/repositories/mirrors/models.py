"""Mirrors: which other repository, which refs, how often, and how it went."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import NUMBERED_TABLE, SEALED, Base, BigId, EnumText, UtcDateTime

TABLE = "repository_mirror"
PULL_SLOT = 0
PUSH_MIRRORS_MAX = 5
URL_LENGTH_MAX = 2000
PATTERN_LENGTH_MAX = 255
TEXT_LENGTH_MAX = 1000
SKIPPED_KEPT_MAX = 50
"""Refs of one sync whose reason is kept; the others are counted."""

SYNC_SECONDS_MAX = 24 * 3600.0
FORGOTTEN_AFTER = timedelta(seconds=SYNC_SECONDS_MAX) + timedelta(hours=1)
"""A sync whose job is gone begins anew."""


class MirrorState(StrEnum):
    """Whether a mirror goes on by itself."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Somebody paused it."""
    FAILED = "failed"
    """It failed so often in a row that it was paused."""


class MirrorRefs(StrEnum):
    """Which refs a mirror is about."""

    ALL = "all"
    PROTECTED = "protected"
    """Those that an active ruleset is about."""
    PATTERN = "pattern"


class Mirror(Base):
    """One mirror of a repository. ``edit`` makes and changes it, ``sync`` notes how it goes."""

    __tablename__ = TABLE
    __table_args__ = (
        UniqueConstraint("repository_id", "slot"),
        # What is due.
        Index("ix_repository_mirror_state_due_at", "state", "due_at"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    repository_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))
    slot: Mapped[int] = mapped_column(Integer)
    """0 is the one that this repository follows; from 1 on are those that follow it."""
    account_id: Mapped[int] = mapped_column(BigInteger)
    """Who set it up last: refs land in their name, and they are told when it fails."""
    url: Mapped[str] = mapped_column(String(URL_LENGTH_MAX))
    """Without credentials. Of a pull mirror ``repository.mirror_url`` says the same."""
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary(65535), info=SEALED)
    """User and password as JSON, sealed for this row; None without any."""
    refs: Mapped[MirrorRefs] = mapped_column(EnumText(MirrorRefs, 16))
    pattern: Mapped[str] = mapped_column(String(PATTERN_LENGTH_MAX), default="")
    overwrites: Mapped[bool] = mapped_column(Boolean)
    """Refs with other commits on the following side are forced."""
    prunes: Mapped[bool] = mapped_column(Boolean)
    """Refs that are gone on the followed side are deleted on the other."""
    with_lfs: Mapped[bool] = mapped_column(Boolean)
    interval_minutes: Mapped[int] = mapped_column(Integer)
    state: Mapped[MirrorState] = mapped_column(EnumText(MirrorState, 16))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    synced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When both sides were compared and brought in step last."""
    failures: Mapped[int] = mapped_column(Integer, default=0)
    """In a row."""
    failure: Mapped[str] = mapped_column(String(TEXT_LENGTH_MAX), default="")
    """Why it failed last; empty after a sync that went well."""
    note: Mapped[str] = mapped_column(String(TEXT_LENGTH_MAX), default="")
    """What a person should know of the last sync though it is no failure."""
    skipped: Mapped[list[list[str]]] = mapped_column(JSON)
    """Name and reason of refs that the last sync left as they were, the first of them."""
    skipped_count: Mapped[int] = mapped_column(BigInteger, default=0)
    moved_count: Mapped[int] = mapped_column(BigInteger, default=0)
    """Refs that the last sync changed."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def is_pull(self) -> bool:
        """True if this repository follows the other one."""
        return self.slot == PULL_SLOT

    @property
    def is_under_way(self) -> bool:
        """True while a worker syncs it: only then its next time is so far off."""
        return self.tried_at is not None and self.due_at == self.tried_at + FORGOTTEN_AFTER
