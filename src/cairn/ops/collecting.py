"""Unreachable objects go by themselves, undo packs after them, and once a week bucket and tables are compared.

Only stores of which an old ref value has stopped being a root are looked at; see ``cairn.git.collection``.
"""

from datetime import timedelta

import msgspec

from cairn.base.log import get_logger
from cairn.db.database import Database
from cairn.git.bucket_comparison import compare_bucket
from cairn.git.cached_files import PackDamaged
from cairn.git.collection import collect, find_collectable
from cairn.git.engine import Engine
from cairn.git.pack_swap import PacksReplaced
from cairn.git.runner import GitFailed
from cairn.git.store_sizes import mend_sizes
from cairn.git.store_state import StoreGone
from cairn.git.undo_packs import expire_undo_packs
from cairn.jobs.context import JobContext
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import handler, scheduled
from cairn.lfs.bucket_comparison import compare_lfs
from cairn.repositories.releases.files import compare_release_files

COLLECT_KIND = "ops.collect"
_COLLECTION_SECONDS = 6 * 3600
_log = get_logger(__name__)


class CollectStore(msgspec.Struct, frozen=True):
    """The payload of a collection."""

    store_id: int


@scheduled("ops.find_collectable", every=timedelta(days=1))
async def collect_what_lost_its_roots(context: JobContext) -> None:
    """Have the stores collected in which objects may have lost their last root a fortnight ago."""
    await enqueue_collections(context.database, await find_collectable(context.database))


@scheduled("ops.expire_undo_packs", every=timedelta(days=1))
async def delete_old_undo_packs(context: JobContext) -> None:
    """Delete what collections dropped more than thirty days ago."""
    expired = await expire_undo_packs(context.database, context.service(Engine).storage)
    if expired:
        _log.info("undo_packs_expired", packs=expired)


@scheduled("ops.compare_bucket", every=timedelta(days=7))
async def compare_bucket_and_tables(context: JobContext) -> None:
    """Hold bucket and tables against each other."""
    found = await compare_bucket(
        context.database, context.service(Engine).storage, others=[compare_lfs, compare_release_files]
    )
    _log.info("bucket_compared", missing=found.missing, unknown=found.unknown, deleted=found.deleted)


@scheduled("ops.mend_sizes", every=timedelta(days=7))
async def mend_store_sizes(context: JobContext) -> None:
    """Count anew how large stores are, where a program of before the count changed them."""
    mended = await mend_sizes(context.database)
    if mended:
        _log.warning("store_sizes_mended", stores=mended)


@handler(COLLECT_KIND, attempts_max=3, deadline_seconds=_COLLECTION_SECONDS)
async def collect_store(context: JobContext, payload: CollectStore) -> None:
    """Collect one store, unless this attempt lost its lease: then its newer holder does."""
    try:
        await collect(context.service(Engine), payload.store_id, within=context.still_mine)
    except (PacksReplaced, StoreGone) as error:
        # Deleted, or compacted by somebody else: tomorrow's scan looks again.
        _log.info("collection_given_up", store_id=payload.store_id, reason=error.message)
    except PackDamaged as error:
        _log.error("collection_given_up", store_id=payload.store_id, key=error.key, reason=error.message)
    except GitFailed as error:
        # A root that cannot be followed: nothing is dropped from a damaged store, and trying again changes nothing.
        _log.error("collection_given_up", store_id=payload.store_id, reason=error.message, stderr=error.stderr[-500:])


async def enqueue_collections(database: Database, stores: list[int]) -> None:
    """Each of these stores has one collection waiting or running."""
    async with database.write() as session:
        for store_id in stores:
            await enqueue(
                session,
                COLLECT_KIND,
                CollectStore(store_id),
                unique_key=f"{COLLECT_KIND}:{store_id}",
                # One at a time in the whole installation: each is read and written whole, for nobody who waits.
                sequence=COLLECT_KIND,
            )
