"""Local folder storage: what OpenDAL leaves to the caller so that "written" survives a power cut.

OpenDAL writes to a temporary file, syncs it and renames it; the folder that holds the name is not synced, and a write
that was given up leaves its temporary file. ``FOLDER/objects`` holds objects, ``FOLDER/incoming`` a folder per write.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from opendal import AsyncOperator

from cairn.base.ids import random_id
from cairn.storage.errors import StorageMisconfigured, unavailable

STALE_SECONDS = 86400
"""A write that is older than this belongs to a process that died."""


class LocalFolder:
    """The folder of one store."""

    def __init__(self, folder: Path) -> None:
        self.objects = folder / "objects"
        self._incoming = folder / "incoming"
        for path in (self.objects, self._incoming):
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StorageMisconfigured(
                    f"the storage folder {str(path)!r} cannot be made ({error.strerror})"
                ) from None
        sync_folders(folder, within=folder.parent)

    def operator(self) -> AsyncOperator:
        """Return an operator for everything but writing."""
        return AsyncOperator("fs", root=str(self.objects))

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator[AsyncOperator]:
        """Give an operator for one write; afterwards the name is on the disk, or nothing of the write is left."""
        incoming = self._incoming / random_id()
        try:
            with _disk_errors():
                incoming.mkdir()
            yield AsyncOperator("fs", root=str(self.objects), atomic_write_dir=str(incoming))
            with _disk_errors():
                await asyncio.to_thread(sync_folders, (self.objects / key).parent, within=self.objects)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def remove_empty_folders(self, prefix: str) -> None:
        """Remove the folders below a prefix that hold nothing any more, the prefix itself included."""
        for folder, _, _ in os.walk(self.objects / prefix, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                continue  # it holds something: another write came meanwhile

    def sweep_incoming(self) -> int:
        """Remove what writes of dead processes left more than a day ago; return how many there were."""
        swept = 0
        for path in self._incoming.iterdir():
            if time.time() - path.lstat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
                swept += 1
        return swept


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unavailable("put", (error.strerror or "disk error").lower()) from error


def sync_folders(folder: Path, *, within: Path) -> None:
    """Make the names in ``folder`` and in its parents up to ``within`` survive a power cut.

    All of them, always: whether another process has made one of them, and not synced it yet, cannot be known, and
    syncing a folder that did not change costs about 50 µs.
    """
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if folder == within:
            return
        folder = folder.parent
