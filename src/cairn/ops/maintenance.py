"""Recurring housekeeping of the engine's data, each part done by one worker of many.

Cached answers and old rows expire by age, what uploads left behind is swept, stores that are pushed to often are
compacted, and packs that were replaced are deleted. Every part may be killed at any moment: the next turn goes on.
Collection of unreachable objects and the comparison of bucket and tables are in ``ops.collecting``.
"""

from datetime import timedelta

import msgspec

from cairn.base.log import get_logger
from cairn.db.database import Database
from cairn.git.cached_files import PackDamaged
from cairn.git.compaction import compact, find_crowded
from cairn.git.condemned_packs import delete_condemned
from cairn.git.engine import Engine
from cairn.git.pack_swap import PacksReplaced
from cairn.git.purge import delete_purged_bytes
from cairn.git.retention import expire_rows
from cairn.git.shared_answers import expire_shared_answers
from cairn.git.store_state import StoreGone
from cairn.git.upload_sweeper import sweep_uploads
from cairn.jobs.context import JobContext
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import handler, scheduled

COMPACT_KIND = "ops.compact"
LOOK_BACK = timedelta(minutes=15)
"""What each scan for busy stores looks at: longer than a worker takes to restart; the daily scan sees the rest."""

COMPACTION_SCANNED_EVERY = timedelta(seconds=10)
"""A repository that is pushed to 20 times a second has at most some 250 packs by then."""

COMPACTED_AT_ONCE = 4
"""Stores compacted at a time in the whole installation: it is work for idle hours, not a reason to be slow."""

_ENQUEUED_AT_ONCE = 200
_log = get_logger(__name__)


class CompactStore(msgspec.Struct, frozen=True):
    """The payload of a compaction."""

    store_id: int


@scheduled("ops.expire_answers", every=timedelta(hours=6))
async def expire_answers(context: JobContext) -> None:
    """Delete the answers in the object store that are older than ``CAIRN_FETCH_CACHE_MAX_AGE_SECONDS``."""
    engine = context.service(Engine)
    age = timedelta(seconds=engine.settings.fetch_cache_max_age_seconds)
    deleted = await expire_shared_answers(engine.storage, before=await context.database.now() - age)
    _log.info("answers_expired", deleted=deleted)


@scheduled("ops.sweep_uploads", every=timedelta(minutes=10))
async def sweep_expired_uploads(context: JobContext) -> None:
    """Delete what pushes wrote that never landed."""
    swept = await sweep_uploads(context.database, context.service(Engine).storage)
    if swept.expired or swept.removed:
        _log.info("uploads_swept", expired=swept.expired, removed=swept.removed)


@scheduled("ops.expire_rows", every=timedelta(days=1))
async def expire_old_rows(context: JobContext) -> None:
    """Delete push rows after 30 days and lines of ref logs after 90."""
    pushes, lines = await expire_rows(context.database)
    _log.info("rows_expired", pushes=pushes, ref_log_lines=lines)


@scheduled("ops.find_crowded", every=COMPACTION_SCANNED_EVERY)
async def compact_what_was_pushed_to(context: JobContext) -> None:
    """Have the stores compacted that a push of the last minutes left with many packs."""
    await enqueue_compactions(context.database, await find_crowded(context.database, pushed_within=LOOK_BACK))


@scheduled("ops.find_all_crowded", every=timedelta(days=1))
async def compact_everything(context: JobContext) -> None:
    """Have every store compacted that has many packs, whenever it was pushed to."""
    await enqueue_compactions(context.database, await find_crowded(context.database))


@scheduled("ops.delete_condemned", every=timedelta(minutes=30))
async def delete_condemned_packs(context: JobContext) -> None:
    """Delete packs that were replaced, or whose store was deleted, more than six hours ago."""
    engine = context.service(Engine)
    await delete_purged_bytes(engine)  # what a purge that died left
    deleted = await delete_condemned(context.database, engine.storage)
    if deleted.packs:
        _log.info("packs_deleted", packs=deleted.packs, bytes=deleted.pack_bytes)


@handler(COMPACT_KIND, attempts_max=3)
async def compact_store(context: JobContext, payload: CompactStore) -> None:
    """Compact one store, unless this attempt lost its lease: then its newer holder does."""
    try:
        await compact(context.service(Engine), payload.store_id, within=context.still_mine)
    except (PacksReplaced, StoreGone) as error:
        # Deleted or compacted by somebody else: the next scan looks again.
        _log.info("compaction_given_up", store_id=payload.store_id, reason=error.message)
    except PackDamaged as error:
        # An incident of its own, told at every clone too: trying again and again would only pile up dead jobs.
        _log.error("compaction_given_up", store_id=payload.store_id, key=error.key, reason=error.message)


async def enqueue_compactions(database: Database, stores: list[int]) -> None:
    """Each of these stores has one compaction waiting or running."""
    for start in range(0, len(stores), _ENQUEUED_AT_ONCE):
        async with database.write() as session:
            for store_id in stores[start : start + _ENQUEUED_AT_ONCE]:
                await enqueue(
                    session,
                    COMPACT_KIND,
                    CompactStore(store_id),
                    unique_key=f"{COMPACT_KIND}:{store_id}",
                    sequence=f"{COMPACT_KIND}:{store_id % COMPACTED_AT_ONCE}",
                )
