"""Which programs run, on which nodes: each writes a row when it starts, renews it, and deletes it when it stops."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn import __version__
from cairn.base.errors import CairnError
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.db.changes import count_changed
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.ops.models import RunningProgram

BEAT_SECONDS = 30
SILENT_AFTER = timedelta(seconds=3 * BEAT_SECONDS)
"""A program that was not seen for this long is shown as silent: killed, paused, or cut off from the database."""
FORGOTTEN_AFTER = timedelta(days=1)

_log = get_logger(__name__)


@asynccontextmanager
async def beating(database: Database, kind: str) -> AsyncIterator[None]:
    """Show this process among the running programs for as long as the block lasts. A failure costs only the row."""
    own_id = random_id()

    async def beat() -> None:
        try:
            async with database.write() as session:
                await _beat(session, own_id, kind)
        except CairnError as error:
            _log.warning("heartbeat_lost", error=error.message)

    async def forever() -> None:
        while True:
            await beat()
            await asyncio.sleep(BEAT_SECONDS)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(forever())
        try:
            yield
        finally:
            task.cancel()
            await _end(database, own_id)


async def list_programs(session: AsyncSession) -> Sequence[RunningProgram]:
    """Return the programs that were seen within a day, by node and kind."""
    seen = RunningProgram.last_seen_at > await database_now(session, plus=-FORGOTTEN_AFTER)
    query = select(RunningProgram).where(seen).order_by(RunningProgram.node, RunningProgram.kind, RunningProgram.pid)
    return (await session.scalars(query.limit(1000))).all()


async def _beat(session: AsyncSession, own_id: str, kind: str) -> None:
    moment = await database_now(session)
    renewal = update(RunningProgram).where(RunningProgram.id == own_id).values(last_seen_at=now())
    if await count_changed(session, renewal):
        return
    await session.execute(delete(RunningProgram).where(RunningProgram.last_seen_at < moment - FORGOTTEN_AFTER))
    session.add(
        RunningProgram(
            id=own_id,
            node=socket.gethostname()[:255],
            kind=kind,
            pid=os.getpid(),
            version=__version__,
            started_at=moment,
            last_seen_at=moment,
        )
    )


async def _end(database: Database, own_id: str) -> None:
    try:
        async with database.write() as session:
            await session.execute(delete(RunningProgram).where(RunningProgram.id == own_id))
    except CairnError as error:
        _log.warning("heartbeat_left", error=error.message)
