"""The audit log: entries that are only ever added, and the chain of seals that shows if one was touched."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, Base, BigId, EnumText, HashHex, UtcDateTime


class AuditEntry(Base):
    """One decision that changed something, or one sign-in. Triggers refuse UPDATE, and DELETE outside retention."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_at", "at"),
        Index("ix_audit_entry_actor_id_at", "actor_id", "at"),
        Index("ix_audit_entry_repository_id_at", "repository_id", "at"),
        # An organization's page, and the walk over one log that checks its seals.
        Index("ix_audit_entry_organization_id_id", "organization_id", "id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(String(255))
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    organization_id: Mapped[int | None] = mapped_column(BigInteger)
    """The organization whose log it belongs to; None: only the installation's."""
    repository_id: Mapped[int | None] = mapped_column(BigInteger)
    address: Mapped[str] = mapped_column(String(64), default="")
    user_agent: Mapped[str] = mapped_column(String(255), default="", server_default="")
    request_id: Mapped[str] = mapped_column(String(32), default="")
    details: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """Facts of the decision, as text; never a secret."""
    changes: Mapped[dict[str, list[str]] | None] = mapped_column(JSON(none_as_null=True))
    """Field: what it was before and what it is now, as text; never a secret."""


class SealKind(StrEnum):
    """What a link of the chain says."""

    ENTRIES = "entries"
    """These entries stood here."""
    RETENTION = "retention"
    """Every entry up to ``last_id`` was old enough to be deleted, and may be gone."""


class AuditSeal(Base):
    """One link of a log's chain: what stood in a range of entries, and the hash of the link before.

    A log is an organization's, or (``log_id`` 0) that of everything that belongs to none. Triggers refuse UPDATE and
    DELETE.
    """

    __tablename__ = "audit_seal"
    __table_args__ = (Index("ix_audit_seal_last_id", "last_id"), MYSQL_TABLE)

    log_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, 3, … in each log."""
    kind: Mapped[SealKind] = mapped_column(EnumText(SealKind, 16))
    first_id: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int] = mapped_column(Integer)
    newest_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the newest of its entries was made."""
    leaves: Mapped[bytes] = mapped_column(LargeBinary(65535))
    """For each entry its id (8 bytes) and the first 8 bytes of its hash, so that a finding can name the entry."""
    entries_sha256: Mapped[str] = mapped_column(HashHex)
    previous_sha256: Mapped[str] = mapped_column(HashHex)
    sha256: Mapped[str] = mapped_column(HashHex)
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)
