"""The outbox: mails on their way, and what became of them. A mail's words are sealed until it is sent, then gone."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, SEALED, Base, EnumText, HexId, UtcDateTime

SEALED_BYTES_MAX = 65_535


class MailState(StrEnum):
    """What became of a mail."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    """Refused for good, or given up after the last attempt."""
    KEPT = "kept"
    """There was no mail server: an administrator reads it and passes it on."""


class OutboxMail(Base):
    """One mail to one recipient."""

    __tablename__ = "mail_outbox"
    __table_args__ = (Index("ix_mail_outbox_created_at_id", "created_at", "id"), MYSQL_TABLE)

    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    recipient: Mapped[str] = mapped_column(String(254))
    template: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(255))
    """Never holds a secret: it stands in lists."""
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary(SEALED_BYTES_MAX), info=SEALED)
    """Both parts as JSON, sealed for this row; None once sent."""
    state: Mapped[MailState] = mapped_column(EnumText(MailState, 16))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    last_error: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
