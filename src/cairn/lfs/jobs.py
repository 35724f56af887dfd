"""Recurring housekeeping of large objects, each part done by one worker of many; any may be killed at any moment."""

from datetime import timedelta

import msgspec

from cairn.base.errors import NotFound
from cairn.base.log import get_logger
from cairn.git.cached_files import PackDamaged
from cairn.git.engine import Engine
from cairn.git.runner import GitFailed
from cairn.git.store_state import StoreGone
from cairn.jobs.context import JobContext
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import handler, scheduled
from cairn.lfs.collection import collect_objects, find_collectable
from cairn.lfs.condemned_blobs import condemn_unnamed, delete_condemned_blobs
from cairn.lfs.upload_sweeper import sweep_lfs_uploads
from cairn.storage.storage import Storage

COLLECT_KIND = "lfs.collect"
_COLLECTION_SECONDS = 6 * 3600
_log = get_logger(__name__)


class CollectObjects(msgspec.Struct, frozen=True):
    """The payload of a collection."""

    repository_id: int


@scheduled("lfs.sweep_uploads", every=timedelta(minutes=10))
async def sweep_uploads(context: JobContext) -> None:
    """Delete what uploads wrote that never landed."""
    swept = await sweep_lfs_uploads(context.database, context.service(Storage))
    if swept.expired or swept.removed:
        _log.info("lfs_uploads_swept", expired=swept.expired, removed=swept.removed)


@scheduled("lfs.find_collectable", every=timedelta(days=1))
async def collect_what_lost_its_names(context: JobContext) -> None:
    """Have the repositories looked through in which pointers may have stopped naming objects."""
    for repository_id in await find_collectable(context.database):
        async with context.database.write() as session:
            await enqueue(
                session,
                COLLECT_KIND,
                CollectObjects(repository_id),
                unique_key=f"{COLLECT_KIND}:{repository_id}",
                # One at a time in the whole installation: it reads every small file there ever was.
                sequence=COLLECT_KIND,
            )


@scheduled("lfs.delete_condemned", every=timedelta(hours=1))
async def delete_what_nobody_has(context: JobContext) -> None:
    """Condemn bytes that no repository has, and delete those that were condemned more than six hours ago."""
    condemned = await condemn_unnamed(context.database)
    deleted = await delete_condemned_blobs(context.database, context.service(Storage))
    if condemned or deleted.packs:
        _log.info("lfs_blobs_deleted", condemned=condemned, deleted=deleted.packs, bytes=deleted.pack_bytes)


@handler(COLLECT_KIND, attempts_max=3, deadline_seconds=_COLLECTION_SECONDS)
async def collect_repository(context: JobContext, payload: CollectObjects) -> None:
    """Look through one repository."""
    try:
        gone = await collect_objects(context.service(Engine), payload.repository_id, context=context)
    except (NotFound, StoreGone) as error:
        _log.info("lfs_collection_given_up", repository_id=payload.repository_id, reason=error.message)
    except (PackDamaged, GitFailed) as error:
        # What cannot be followed may name anything: nothing goes.
        _log.error("lfs_collection_given_up", repository_id=payload.repository_id, reason=error.message)
    else:
        if gone.objects:
            _log.info("lfs_objects_collected", repository_id=payload.repository_id, objects=gone.objects)
