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

from cairn.base.folders import make_folder, sync_folder
from cairn.base.ids import random_id
from cairn.storage.errors import StorageMisconfigured, unavailable

DURABLE_FOLDERS_MAX = 10_000
"""Folders one process remembers as synced; about 200 bytes each."""

STALE_SECONDS = 86400
"""A write that is older than this belongs to a process that died."""


class LocalFolder:
    """The folder of one store."""

    def __init__(self, folder: Path) -> None:
        self.objects = folder / "objects"
        self._incoming = folder / "incoming"
        for path, mode in ((folder, 0o777), (self.objects, 0o700), (self._incoming, 0o700)):
            try:
                make_folder(path, mode=mode)
            except OSError as error:
                raise StorageMisconfigured(
                    f"the storage folder {str(path)!r} cannot be made ({error.strerror})"
                ) from None
        self._durable: set[Path] = set()

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
                await asyncio.to_thread(self._sync, (self.objects / key).parent)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def copy_in(self, key: str, source: Path) -> int:
        """The store has the file's bytes under ``key``, on the disk; return how many. The kernel copies. Blocks."""
        incoming = self._incoming / random_id()
        target = self.objects / key
        try:
            with _disk_errors():
                incoming.mkdir()
                made = incoming / "object"
                shutil.copyfile(source, made)
                with made.open("rb") as file:
                    os.fsync(file.fileno())
                    size = os.fstat(file.fileno()).st_size
                target.parent.mkdir(parents=True, exist_ok=True)
                made.replace(target)
                self._sync(target.parent)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return size

    def _sync(self, folder: Path) -> None:
        """Make the names in ``folder`` survive a power cut, and the folder's own name up to ``objects``.

        A name stays durable once this process has synced it: a folder in use is never removed. That another process
        made a folder proves nothing: it may not have synced it yet.
        """
        sync_folder(folder)
        made_durable: set[Path] = set()
        while folder != self.objects and folder not in self._durable:
            sync_folder(folder.parent)
            made_durable.add(folder)
            folder = folder.parent
        if len(self._durable) > DURABLE_FOLDERS_MAX:
            self._durable.clear()
        self._durable |= made_durable

    def remove_empty_folders(self, prefix: str) -> None:
        """Remove the folders below a prefix that hold nothing any more, the prefix itself included.

        Only for a prefix that is never written to again: others believe that its names are on the disk.
        """
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
