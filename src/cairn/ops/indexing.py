"""Indexes are made where they pay, by one worker of many, and old ones go; see ``cairn.git.indexes``."""

from datetime import timedelta

import msgspec

from cairn.base.log import get_logger
from cairn.db.database import Database
from cairn.git.cached_files import PackDamaged
from cairn.git.engine import Engine
from cairn.git.index_building import build_indexes, find_unindexed
from cairn.git.indexes import condemn_unusable, delete_condemned_indexes, stores_with_indexes
from cairn.git.store_state import StoreGone
from cairn.jobs.context import JobContext
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import handler, scheduled

INDEX_KIND = "ops.index"
LOOK_BACK = timedelta(minutes=15)
"""What the scan of every two minutes looks at; the daily scan sees the rest."""

INDEXED_AT_ONCE = 2
"""Stores indexed at a time in the whole installation: it is work for idle hours."""

_ENQUEUED_AT_ONCE = 200
_log = get_logger(__name__)


class IndexStore(msgspec.Struct, frozen=True):
    """The payload of an indexing."""

    store_id: int


@scheduled("ops.find_unindexed", every=timedelta(minutes=2))
async def index_what_was_pushed_to(context: JobContext) -> None:
    """Have the stores indexed that a push or a compaction of the last minutes left without, or with an old one."""
    await enqueue_indexing(context.database, await find_unindexed(context.database, pushed_within=LOOK_BACK))


@scheduled("ops.find_all_unindexed", every=timedelta(days=1))
async def index_everything(context: JobContext) -> None:
    """Take out of use what lost a pack or its bytes, and have every store indexed that needs it."""
    for store_id in await stores_with_indexes(context.database):
        try:
            await condemn_unusable(context.database, context.service(Engine).storage, store_id)
        except StoreGone:
            continue
    await enqueue_indexing(context.database, await find_unindexed(context.database))


@scheduled("ops.delete_indexes", every=timedelta(hours=1))
async def delete_old_indexes(context: JobContext) -> None:
    """Delete indexes that were replaced or lost a pack more than six hours ago."""
    deleted = await delete_condemned_indexes(context.database, context.service(Engine).storage)
    if deleted:
        _log.info("indexes_deleted", indexes=deleted)


@handler(INDEX_KIND, attempts_max=3)
async def index_store(context: JobContext, payload: IndexStore) -> None:
    """Index one store, unless this attempt lost its lease: then its newer holder does."""
    try:
        await build_indexes(context.service(Engine), payload.store_id, within=context.still_mine)
    except StoreGone:
        return
    except PackDamaged as error:
        # An incident of its own, told at every clone too.
        _log.error("indexing_given_up", store_id=payload.store_id, key=error.key, reason=error.message)


async def enqueue_indexing(database: Database, stores: list[int]) -> None:
    """Each of these stores has one indexing waiting or running."""
    for start in range(0, len(stores), _ENQUEUED_AT_ONCE):
        async with database.write() as session:
            for store_id in stores[start : start + _ENQUEUED_AT_ONCE]:
                await enqueue(
                    session,
                    INDEX_KIND,
                    IndexStore(store_id),
                    unique_key=f"{INDEX_KIND}:{store_id}",
                    sequence=f"{INDEX_KIND}:{store_id % INDEXED_AT_ONCE}",
                )
