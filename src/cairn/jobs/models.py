"""The job table. A claim raises ``fencing``; what a job publishes checks it, so a paused holder does nothing twice."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Boolean, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, Base, BigId, HexId, UtcDateTime


class JobState(StrEnum):
    """Life of a job; ``dead`` jobs wait for an administrator to retry or discard them."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class Job(Base):
    """One durable unit of work, delivered at least once."""

    __tablename__ = "job"
    __table_args__ = (
        # The claim: oldest due job that waits, or whose lease ran out.
        Index("ix_job_state_due_at", "state", "due_at"),
        Index("ix_job_state_finished_at", "state", "finished_at"),
        # The claim's second question: is an earlier job of this sequence unfinished?
        Index("ix_job_sequence_state_id", "sequence", "state", "id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(100))
    payload: Mapped[dict[str, object]] = mapped_column(JSON)
    unique_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    """Set while waiting or running: a second enqueue with the same key is the same job."""
    run_again: Mapped[bool] = mapped_column(Boolean, default=False)
    """Enqueued once more while it ran: what it read may be out of date, so it waits again instead of being done."""
    sequence: Mapped[str | None] = mapped_column(String(200))
    """Jobs of one sequence run one at a time, oldest first; None: at any time, in any order."""
    state: Mapped[JobState] = mapped_column(String(16), default=JobState.WAITING)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it may run; while running, when its lease ends."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    fencing: Mapped[int] = mapped_column(BigInteger, default=0)
    holder: Mapped[str | None] = mapped_column(HexId)
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Schedule(Base):
    """When a recurring job was last enqueued; the row lets one node of many do it."""

    __tablename__ = "job_schedule"
    __table_args__ = (MYSQL_TABLE,)

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    last_due_at: Mapped[datetime] = mapped_column(UtcDateTime)
