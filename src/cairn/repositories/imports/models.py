"""The import of a repository: where from, how far it is, why it failed."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, SEALED, Base, EnumText, HexId, UtcDateTime

TABLE = "repository_import"
TEXT_LENGTH_MAX = 1000


class ImportState(StrEnum):
    """What an import is doing, as a whole."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """True if nothing more happens until somebody asks."""
        return self not in {ImportState.WAITING, ImportState.RUNNING}


class ImportStep(StrEnum):
    """How far it is, in the order of the steps."""

    WAITING = "waiting"
    LISTING = "listing"
    FETCHING = "fetching"
    LANDING = "landing"
    LFS = "lfs"
    WIKI = "wiki"
    DONE = "done"


class FailureKind(StrEnum):
    """Why an import failed: what somebody has to do differs."""

    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    NOT_GIT = "not_git"
    TOO_LARGE = "too_large"
    ADDRESS_REFUSED = "address_refused"
    HOST_KEY = "host_key"
    UNREACHABLE = "unreachable"
    LFS_MISSING = "lfs_missing"
    REFUSED = "refused"
    OTHER = "other"


class RepositoryImport(Base):
    """The import of a repository, under way or over; one for each. ``start`` makes it, ``progress`` changes it."""

    __tablename__ = TABLE
    __table_args__ = (
        # How many somebody has under way.
        Index("ix_repository_import_account_id_state", "account_id", "state"),
        # Those whose job is gone.
        Index("ix_repository_import_state_seen_at", "state", "seen_at"),
        MYSQL_TABLE,
    )

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    id: Mapped[str] = mapped_column(HexId)
    """Another one for every time somebody asks: a job of an earlier time finds out that it is late."""
    account_id: Mapped[int] = mapped_column(BigInteger)
    """Who asked, and in whose name refs land."""
    url: Mapped[str] = mapped_column(String(2000))
    """Without credentials."""
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary(65535), info=SEALED)
    """User and password as JSON, sealed for this row; None without any, and as soon as the import is over."""
    with_lfs: Mapped[bool] = mapped_column(Boolean)
    with_wiki: Mapped[bool] = mapped_column(Boolean)
    default_branch_only: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[ImportState] = mapped_column(EnumText(ImportState, 16))
    step: Mapped[ImportStep] = mapped_column(EnumText(ImportStep, 16))
    percent: Mapped[int] = mapped_column(Integer, default=0)
    refs_done: Mapped[int] = mapped_column(BigInteger, default=0)
    refs_total: Mapped[int] = mapped_column(BigInteger, default=0)
    refs_left_out: Mapped[int] = mapped_column(BigInteger, default=0)
    """Refs of the source that are neither branches nor tags: they are not taken."""
    objects_done: Mapped[int] = mapped_column(BigInteger, default=0)
    objects_total: Mapped[int] = mapped_column(BigInteger, default=0)
    """Of the group of refs that is being fetched."""
    bytes_done: Mapped[int] = mapped_column(BigInteger, default=0)
    lfs_done: Mapped[int] = mapped_column(BigInteger, default=0)
    lfs_total: Mapped[int] = mapped_column(BigInteger, default=0)
    failure_kind: Mapped[FailureKind | None] = mapped_column(EnumText(FailureKind, 16))
    failure: Mapped[str] = mapped_column(String(TEXT_LENGTH_MAX), default="")
    note: Mapped[str] = mapped_column(String(TEXT_LENGTH_MAX), default="")
    """What a person should know of it though it is no failure."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When somebody last did something for it."""
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
