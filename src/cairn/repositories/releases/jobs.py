"""Recurring housekeeping of releases' files; any may be killed at any moment."""

from datetime import timedelta

from cairn.base.log import get_logger
from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled
from cairn.repositories.releases.files import delete_files
from cairn.storage.storage import Storage

_log = get_logger(__name__)


@scheduled("releases.delete_files", every=timedelta(minutes=30))
async def delete_what_no_release_has(context: JobContext) -> None:
    """Condemn the files no release has, delete those condemned hours ago and what uploads left that never landed."""
    deleted = await delete_files(context.database, context.service(Storage))
    if deleted.packs:
        _log.info("release_files_deleted", files=deleted.packs, bytes=deleted.pack_bytes)
