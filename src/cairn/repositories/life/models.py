"""What was deleted and may come back; who stars, watches and pins which repository."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, Base, EnumText, UtcDateTime


class RepositoryDeletion(Base):
    """A repository that is deleted: by whom, when, and until when it can be restored. The row goes with either end."""

    __tablename__ = "repository_deletion"
    __table_args__ = (
        Index("ix_repository_deletion_erase_at", "erase_at"),
        # Everything an owner can restore, the newest first.
        Index("ix_repository_deletion_owner_id_deleted_at", "owner_id", "deleted_at"),
        MYSQL_TABLE,
    )

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    owner_id: Mapped[int] = mapped_column(BigInteger)
    deleted_by_id: Mapped[int | None] = mapped_column(BigInteger)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    erase_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RepositoryStar(Base):
    """Somebody likes a repository; ``stars`` alone writes it, with the count in the repository's row."""

    __tablename__ = "repository_star"
    __table_args__ = (Index("ix_repository_star_account_id_starred_at", "account_id", "starred_at"), MYSQL_TABLE)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    starred_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WatchLevel(StrEnum):
    """How much of a repository somebody wants to hear; without a row it is ``participating``."""

    PARTICIPATING = "participating"
    """What they take part in or are mentioned in."""
    ALL = "all"
    CUSTOM = "custom"
    """That, and what happens with the chosen subjects."""
    IGNORE = "ignore"
    """Nothing, not even when they are mentioned."""


class WatchSubject(StrEnum):
    """What somebody can choose to hear of."""

    ISSUES = "issues"
    PULLS = "pulls"
    RELEASES = "releases"
    DISCUSSIONS = "discussions"
    SECURITY = "security"


class RepositoryWatch(Base):
    """Somebody's wish for one repository; ``watching`` alone writes it, with the count in the repository's row."""

    __tablename__ = "repository_watch"
    __table_args__ = (Index("ix_repository_watch_account_id_watched_at", "account_id", "watched_at"), MYSQL_TABLE)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    level: Mapped[WatchLevel] = mapped_column(EnumText(WatchLevel, 16))
    subjects: Mapped[str] = mapped_column(String(200), default="")
    """The subjects of ``CUSTOM``, with a blank between."""
    watched_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AccountPin(Base):
    """A repository that a person or an organization shows first; ``pins`` alone writes it."""

    __tablename__ = "account_pin"
    __table_args__ = (MYSQL_TABLE,)

    account_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    position: Mapped[int] = mapped_column(Integer)
