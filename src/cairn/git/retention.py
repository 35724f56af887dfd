"""Rows that have done their work go: outcomes of old pushes and old lines of the ref log, in small batches."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from cairn.db.database import Database
from cairn.git.models import Push, RefLog, Store

PUSHES_KEPT = timedelta(days=30)
"""Longer than any job is retried: a redelivered one still finds that it landed."""

REF_LOG_KEPT = timedelta(days=90)
"""Far more than the 14 days and 2 hours for which old values are roots: an operator restores a ref from here."""

BATCH_ROWS = 1000
STORES_A_TURN = 200


async def expire_rows(database: Database) -> tuple[int, int]:
    """No push row is older than 30 days and no line of a ref log older than 90; return how many went of each.

    Stores are visited by id, a few at a time, because both indexes start with the store.
    """
    now = await database.now()
    pushes = lines = 0
    after = 0
    while stores := await _next_stores(database, after):
        pushes += await _expire_pushes(database, stores, now - PUSHES_KEPT)
        lines += await _expire_lines(database, stores, now - REF_LOG_KEPT)
        after = stores[-1]
    return pushes, lines


async def _next_stores(database: Database, after: int) -> list[int]:
    async with database.read() as session:
        found = await session.scalars(select(Store.id).where(Store.id > after).order_by(Store.id).limit(STORES_A_TURN))
        return list(found)


async def _expire_pushes(database: Database, stores: list[int], before: datetime) -> int:
    # ix_git_push_store_id_at
    return await _expire(database, (Push.store_id, Push.id), stores, Push.at, before)


async def _expire_lines(database: Database, stores: list[int], before: datetime) -> int:
    # ix_git_ref_log_store_id_at
    return await _expire(database, (RefLog.store_id, RefLog.ref_version, RefLog.position), stores, RefLog.at, before)


async def _expire(
    database: Database,
    key: tuple[InstrumentedAttribute[int], *tuple[InstrumentedAttribute[int] | InstrumentedAttribute[str], ...]],
    stores: list[int],
    at: InstrumentedAttribute[datetime],
    before: datetime,
) -> int:
    gone = 0
    while True:
        async with database.write() as session:
            rows = (await session.execute(select(*key).where(key[0].in_(stores), at < before).limit(BATCH_ROWS))).all()
            if rows:
                model = key[0].class_
                await session.execute(delete(model).where(tuple_(*key).in_([tuple(row) for row in rows])))
        gone += len(rows)
        if len(rows) < BATCH_ROWS:
            return gone
