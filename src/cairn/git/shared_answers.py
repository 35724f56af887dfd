"""How a node's answers lie in the object store, where the other nodes find them.

All lie under ``SHARED_PREFIX``, one folder for each store: a purge deletes the folder, age deletes the rest. What a
failed writer or a faulty store left there is noticed, at the latest by its last reader's client.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from cairn.base.errors import CairnError, Unavailable
from cairn.base.log import get_logger
from cairn.base.settings import KIB, MIB
from cairn.git.pktline import FLUSH
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

SHARED_PREFIX = "cache/fetch"
"""Where answers lie in the object store: exempt from the comparison of bucket and tables, expired by age."""

FILE_BYTES_MIN = MIB
"""Files below this are made again sooner than they are fetched."""

_SHARE_BYTES = 4 * MIB
_DIGEST_BYTES = 32
_ABOUT_BYTES_MAX = 4 * KIB
_log = get_logger(__name__)

Write = Callable[[bytes], None]


class SharedAnswer(Protocol):
    """A place in the object store for one answer."""

    @property
    def key(self) -> str:
        """How its objects' names begin."""
        ...

    async def copy(self, storage: Storage, write: Write) -> bool:
        """Write the answer piece by piece; False, with nothing written, if it is not there, not whole, out of reach.

        Errors: the storage's and Unavailable, once something was written.
        """
        ...

    async def put(self, storage: Storage, path: Path) -> None:
        """Give the store the file's bytes. Errors: the storage's."""
        ...


@dataclass(frozen=True, slots=True)
class SharedFetch:
    """The answer to a fetch: it ends with a flush packet, and its SHA-256 follows it in the same object."""

    key: str

    async def copy(self, storage: Storage, write: Write) -> bool:
        """See SharedAnswer."""
        digest, is_begun = hashlib.sha256(), False
        try:
            size = (await storage.stat(self.key)).size - _DIGEST_BYTES
            tail_bytes = len(FLUSH) + _DIGEST_BYTES
            tail = await storage.get_range(self.key, size - len(FLUSH), tail_bytes) if size > tail_bytes else b""
            # A writer that failed may leave a cut object behind; a whole answer ends with a flush packet.
            if not tail.startswith(FLUSH):
                await storage.delete(self.key)
                return False
            async with storage.stream(self.key, size=size) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
                    is_begun = True
                    write(chunk)
        except CairnError as error:
            if is_begun:
                raise
            _report_unread(self.key, error)
            return False
        await _require_digest(storage, self.key, digest.digest(), tail[len(FLUSH) :])
        return True

    async def put(self, storage: Storage, path: Path) -> None:
        """See SharedAnswer."""
        digest = hashlib.sha256()

        async def pieces(file: BinaryIO) -> AsyncIterator[bytes]:
            async for piece in _read(file, digest.update):
                yield piece
            yield digest.digest()

        with path.open("rb") as file:
            await storage.put_stream(self.key, pieces(file))


class _About(msgspec.Struct, frozen=True):
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file that clients may get from the object store itself: nothing is added to its bytes.

    A second object, written last and deleted first, says that it is whole, how large, and its SHA-256.
    """

    key: str

    @property
    def _about_key(self) -> str:
        return f"{self.key}.about"

    @property
    def file_key(self) -> str:
        """The key of the bytes alone."""
        return f"{self.key}.file"

    async def size(self, storage: Storage) -> int | None:
        """Return the bytes of the file if the store has it whole, else None, also while the store is out of reach."""
        try:
            about = await self._read_about(storage)
            found = await storage.stat(self.file_key)
        except CairnError as error:
            _report_unread(self.key, error)
            return None
        return about.size if about.size == found.size else None

    async def copy(self, storage: Storage, write: Write) -> bool:
        """See SharedAnswer."""
        digest, is_begun = hashlib.sha256(), False
        try:
            about = await self._read_about(storage)
            async with storage.stream(self.file_key, size=about.size) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
                    is_begun = True
                    write(chunk)
        except CairnError as error:
            if is_begun:
                raise
            _report_unread(self.key, error)
            return False
        await _require_digest(storage, self.file_key, digest.digest(), bytes.fromhex(about.sha256))
        return True

    async def put(self, storage: Storage, path: Path) -> None:
        """See SharedAnswer. Nothing is put below FILE_BYTES_MIN."""
        if path.stat().st_size < FILE_BYTES_MIN:
            return
        digest = hashlib.sha256()
        with path.open("rb") as file:
            size = await storage.put_stream(self.file_key, _read(file, digest.update))
        await storage.put(self._about_key, msgspec.json.encode(_About(size, digest.hexdigest())))

    async def _read_about(self, storage: Storage) -> _About:
        data = await storage.get(self._about_key, max_bytes=_ABOUT_BYTES_MAX)
        try:
            return msgspec.json.decode(data, type=_About)
        except msgspec.DecodeError:
            await storage.delete(self._about_key)
            raise StorageNotFound(f"{self._about_key!r} was damaged") from None


async def _read(file: BinaryIO, tell: Callable[[bytes], None]) -> AsyncIterator[bytes]:
    def read() -> bytes:
        piece = file.read(_SHARE_BYTES)
        tell(piece)
        return piece

    while piece := await asyncio.to_thread(read):
        yield piece


async def _require_digest(storage: Storage, key: str, digest: bytes, wanted: bytes) -> None:
    if digest != wanted:
        _log.error("shared_answer_damaged", key=key)
        await storage.delete(key)
        raise Unavailable("The server failed to prepare this answer; try again.")


def _report_unread(key: str, error: CairnError) -> None:
    if not isinstance(error, StorageNotFound):
        _log.warning("shared_answer_unread", key=key, error=str(error))


async def expire_shared_answers(storage: Storage, *, before: datetime) -> int:
    """Delete the answers in the object store that were written before a time; return how many objects.

    An answer that is being read ends as it began on every store we know; the next reader makes it again.
    """
    deleted = 0
    async for found in storage.list(SHARED_PREFIX):
        if found.modified_at is not None and found.modified_at < before:
            await storage.delete(found.key)
            deleted += 1
    return deleted
