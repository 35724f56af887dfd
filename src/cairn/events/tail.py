"""Following the event table from where it is now: for open pages and caches, which want news and can bear a gap.

Ids are given out before transactions commit, so a lower id may appear after a higher one: each look reads a window of
time again and leaves out what it has given before. A transaction that stays open longer than the window is missed here;
subscribers, which are jobs, miss nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database, DatabaseAway
from cairn.events.emit import EVENTS_TOPIC
from cairn.events.models import EventRow
from cairn.jobs.wake import POLL_SECONDS, Wakeups

WINDOW = timedelta(seconds=120)
"""Longer than any transaction may take: statements end after 60 s, idle ones after 30 s."""
BATCH_ROWS = 1000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TailedEvent:
    """An event as its row says it; ``payload`` is not decoded, because the type may be unknown here."""

    id: int
    type: str
    repository_id: int | None
    payload: dict[str, object]
    at: datetime


class EventTail:
    """The events that were committed since ``start``, each once."""

    def __init__(self, database: Database, *, window: timedelta = WINDOW) -> None:
        self._database = database
        self._window = window
        self._floor = 0
        """Everything up to this id is older than the window."""
        self._given: dict[int, datetime] = {}

    async def start(self) -> None:
        """Begin here: what is committed by now is not given."""
        async with self._database.read() as session:
            edge = await database_now(session) - self._window
            # Index: ix_event_at.
            oldest = await session.scalar(select(func.min(EventRow.id)).where(EventRow.at >= edge))
            newest = await session.scalar(select(func.max(EventRow.id)))
            self._floor = (oldest - 1) if oldest is not None else (newest or 0)
            self._given = await self._window_rows(session)

    async def read(self) -> list[TailedEvent]:
        """Return what was committed since the last look, by id as far as it is in order."""
        async with self._database.read() as session:
            edge = await database_now(session) - self._window
            found = await self._window_rows(session)
            ids = [id_ for id_ in found if id_ not in self._given]
            fresh = [row for start in range(0, len(ids), BATCH_ROWS)
                     for row in await _rows(session, ids[start : start + BATCH_ROWS])]  # fmt: skip
        self._given.update((row.id, row.at) for row in fresh)
        self._forget(edge)
        return fresh

    async def follow(self, wakeups: Wakeups) -> AsyncIterator[TailedEvent]:
        """Yield events as they are committed, without end; a database that is away is waited for."""
        with wakeups.listening(EVENTS_TOPIC) as woken:
            while True:
                woken.clear()
                try:
                    for event in await self.read():
                        yield event
                except DatabaseAway as error:
                    _log.warning("tail_waits", reason=error.message)
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    pass

    async def _window_rows(self, session: AsyncSession) -> dict[int, datetime]:
        """Return id and time of every row above the floor, in batches so that no statement is long."""
        found: dict[int, datetime] = {}
        after = self._floor
        while True:
            query = select(EventRow.id, EventRow.at).where(EventRow.id > after).order_by(EventRow.id).limit(BATCH_ROWS)
            batch = (await session.execute(query)).all()
            found.update((id_, at) for id_, at in batch)
            if len(batch) < BATCH_ROWS:
                return found
            after = batch[-1][0]

    def _forget(self, edge: datetime) -> None:
        """Raise the floor over what is older than the window, up to the first that is not."""
        for id_ in sorted(self._given):
            if self._given[id_] >= edge:
                break
            self._floor = id_
            del self._given[id_]


async def _rows(session: AsyncSession, ids: Sequence[int]) -> list[TailedEvent]:
    rows = await session.scalars(select(EventRow).where(EventRow.id.in_(ids)).order_by(EventRow.id))
    return [TailedEvent(row.id, row.type, row.repository_id, row.payload, row.at) for row in rows]
