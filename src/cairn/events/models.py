"""The event table: facts, in the order they were written; ids commit out of order."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import NUMBERED_TABLE, Base, BigId, UtcDateTime


class EventRow(Base):
    """One fact, written in the transaction that made it true."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_repository_id_id", "repository_id", "id"),
        Index("ix_event_at", "at"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    type: Mapped[str] = mapped_column(String(100))
    repository_id: Mapped[int | None] = mapped_column(BigInteger)
    payload: Mapped[dict[str, object]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
