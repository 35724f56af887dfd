"""The tables of large objects: bytes, whose they are, uploads under way, what a repository has in all, locks.

The repository id stands first in the keys of everything that belongs to a repository, and in every ``WHERE``.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, Base, EnumText, HashHex, HexId, UtcDateTime, binary

LOCK_PATH_BYTES_MAX = 1000


class BlobState(StrEnum):
    """Life of stored bytes: a condemned blob may come back, one that is being deleted may not."""

    LIVE = "live"
    CONDEMNED = "condemned"
    DELETING = "deleting"


class LfsBlob(Base):
    """Bytes in the object store, once for the whole installation; the key holds a random id, never the hash."""

    __tablename__ = "lfs_blob"
    __table_args__ = (Index("ix_lfs_blob_state_condemned_at", "state", "condemned_at"), MYSQL_TABLE)

    sha256: Mapped[str] = mapped_column(HashHex, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    state: Mapped[BlobState] = mapped_column(EnumText(BlobState, 16), default=BlobState.LIVE)
    condemned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LfsObject(Base):
    """An object of a repository: somebody sent its bytes here and the server proved them, or to the fork's parent."""

    __tablename__ = "lfs_object"
    __table_args__ = (Index("ix_lfs_object_oid", "oid"), MYSQL_TABLE)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    oid: Mapped[str] = mapped_column(HashHex, ForeignKey("lfs_blob.sha256"), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    wanted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When a client last sent it, or heard (to a day) that it need not: it may be about to push what names it."""


class LfsUsage(Base):
    """What a repository has in all; whoever adds or removes objects changes it under the same lock."""

    __tablename__ = "lfs_usage"
    __table_args__ = (Index("ix_lfs_usage_collected_at", "collected_at"), MYSQL_TABLE)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    objects: Mapped[int] = mapped_column(BigInteger, default=0)
    object_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    collected_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was last looked through for objects that nothing names, or began."""


class LfsUpload(Base):
    """A key that an upload is writing; what an expired row names may be deleted."""

    __tablename__ = "lfs_upload"
    __table_args__ = (Index("ix_lfs_upload_is_expired_expires_at", "is_expired", "expires_at"), MYSQL_TABLE)

    repository_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """No foreign key: the bytes must be found again when the repository is gone."""
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255))
    is_expired: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LfsLock(Base):
    """Somebody works on a file that cannot be merged and asks others to keep away."""

    __tablename__ = "lfs_lock"
    __table_args__ = (
        UniqueConstraint("repository_id", "path"),
        Index("ix_lfs_lock_account_id", "account_id"),
        MYSQL_TABLE,
    )

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    path: Mapped[bytes] = mapped_column(binary(LOCK_PATH_BYTES_MAX))
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    locked_at: Mapped[datetime] = mapped_column(UtcDateTime)
