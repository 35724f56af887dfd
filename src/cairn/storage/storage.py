"""The object store as every other package sees it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from opendal import AsyncOperator, exceptions

from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.storage.address import Address, StorageUrl, parse_address, parse_url
from cairn.storage.breaker import BreakerState
from cairn.storage.calls import PART_BYTES, Calls
from cairn.storage.counters import StorageCounters
from cairn.storage.errors import (
    StorageCorrupt,
    StorageMisconfigured,
    StorageNotFound,
    StorageObjectTooLarge,
    StorageRangeOutside,
    StorageUnavailable,
)
from cairn.storage.keys import checked_folder, checked_key
from cairn.storage.listing import ObjectStat, list_folders, list_pages, read_page, stat_of
from cairn.storage.local_folder import LocalFolder
from cairn.storage.object_stream import READ_BYTES, ObjectStream
from cairn.storage.self_test import check_behaviour

T = TypeVar("T")
PARTS_MAX = 10_000
OBJECT_BYTES_MAX = PART_BYTES * PARTS_MAX
"""80 GiB: S3 takes 10,000 parts."""
PARTS_AT_ONCE = 4
"""Parts of one upload under way: with the one being filled 40 MiB of memory for each upload."""
COPY_BYTES_MAX = 5 << 30
"""S3 copies at most 5 GiB by itself; more is streamed through the node."""
JOINED_BYTES_PER_SECOND_MIN = 16 << 20
"""How fast a store puts the parts of an object together, at the least: 2 GiB may take two minutes."""
JOINED_ASKED_EVERY_SECONDS = 0.5
DELETES_AT_ONCE = 16
FILE_BATCH_BYTES = 4 << 20
URL_SECONDS_MAX = 7 * 86400
_SIGNING_SCHEMES = ("s3", "gcs")
"""Not azblob: its signed URLs would allow writing and deleting, for an hour whatever was asked."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What arrived: bytes and the hexadecimal SHA-256 of exactly these bytes."""

    size: int
    sha256: str


def open_storage(settings: Settings) -> "Storage":
    """Return the store ``CAIRN_STORAGE_URL`` names; nothing is asked of it yet (see ``Storage.self_test``).

    With ``CAIRN_STORAGE_FALLBACK_URL`` its reads fall back to that store. StorageMisconfigured names what is wrong
    with a value, its secrets masked.
    """
    storage = _open(parse_address(settings), settings, "CAIRN_STORAGE_URL")
    if settings.storage_fallback_url:
        url = StorageUrl(settings.storage_fallback_url, "CAIRN_STORAGE_FALLBACK_URL")
        storage.fallback = open_storage_at(url, settings)
    return storage


def open_storage_at(url: StorageUrl, settings: Settings) -> "Storage":
    """Return the store of an address that is not the installation's own; deadlines are the settings'."""
    return _open(parse_url(url), settings, url.variable)


def _open(address: Address, settings: Settings, variable: str) -> "Storage":
    calls = Calls(deadline_seconds=settings.storage_deadline_seconds, is_remote=address.is_remote)
    if address.folder is not None:
        folder = LocalFolder(address.folder)
        return Storage(address, folder.operator(), calls, folder)
    try:
        return Storage(address, AsyncOperator(address.scheme, **address.options), calls, None)
    except (exceptions.ConfigInvalid, exceptions.Unsupported, exceptions.Unexpected):
        raise StorageMisconfigured(
            f"{variable}: {address.label} cannot be opened with these options; docs/guides/storage.md lists them"
        ) from None


class Storage:
    """One object store. Keys are relative paths of plain names (``keys.checked_key``).

    Every method may raise StorageUnavailable (also at once, while the breaker is open) and StorageMisconfigured.
    An object is all or nothing: a write that fails, or is cancelled, leaves what was there before. Whether a failed
    write came through all the same is unknown, so only a row elsewhere may say that an object exists.

    ``fallback`` is another store that only ``get``, ``get_range``, ``stream``, ``download``, ``stat``, ``exists`` and
    ``copy`` read, where this one has no such object or does not answer. It is never written, listed or deleted from.
    """

    def __init__(self, address: Address, operator: AsyncOperator, calls: Calls, folder: LocalFolder | None) -> None:
        self.label = address.label
        self.fallback: Storage | None = None
        self._scheme = address.scheme
        self._operator = operator
        self._calls = calls
        calls.probe = self._touch
        self._folder = folder
        capability = operator.capability()
        self._lists_from = address.is_remote and capability.list_with_start_after
        self._copies = address.is_remote and capability.copy
        self._signs = address.scheme in _SIGNING_SCHEMES and capability.presign_read
        self._concurrent = PARTS_AT_ONCE if address.is_remote else 1

    @property
    def breaker_state(self) -> BreakerState:
        """Whether calls go through, for metrics and the readiness page."""
        return self._calls.breaker.state

    @property
    def counters(self) -> StorageCounters:
        """What was asked of the store so far."""
        return self._calls.counters

    async def put(self, key: str, data: bytes) -> None:
        """The store has ``data`` under ``key``, its size confirmed by the store; what was there before is replaced."""
        checked_key(key)
        if len(data) > PART_BYTES:
            await self.put_stream(key, _pieces(data))
            return
        async with self._writer(key) as operator:
            await self._calls.run("put", key, lambda: operator.write(key, data), transfer_bytes=len(data))
        self.counters.bytes_written["put"] += len(data)
        await self._confirm(key, len(data))

    async def put_file(self, key: str, path: Path) -> int:
        """The store has the file's bytes under ``key``; return how many. The file must not change meanwhile."""
        if self._folder is None:
            with await asyncio.to_thread(path.open, "rb") as file:
                return await self.put_stream(key, _read(file))
        checked_key(key)
        copy = partial(asyncio.to_thread, self._folder.copy_in, key, path)
        size = await self._calls.run("put", key, copy, transfer_bytes=path.stat().st_size)
        self.counters.bytes_written["put"] += size
        return size

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """The store has the joined chunks under ``key``; return how many bytes. At most about 40 MiB are in memory.

        An error of ``chunks`` passes through and nothing is written; a remote store may keep invisible parts, which
        its own rule removes (docs/guides/storage.md).
        """
        checked_key(key)
        size = 0
        async with self._writer(key) as writer:
            operator = self._calls.with_part_retries(writer)
            # Never `async with`: leaving it after an error would commit what arrived so far.
            await self._calls.admit("put")
            with self._calls.guarded("put", key, proves=False):
                file = await operator.open(key, "wb", chunk=PART_BYTES, concurrent=self._concurrent)
            async for chunk in chunks:
                size += len(chunk)
                if size > OBJECT_BYTES_MAX:
                    raise StorageObjectTooLarge(f"an object may have {OBJECT_BYTES_MAX} bytes at most")
                for start in range(0, len(chunk), PART_BYTES):
                    # A write may only fill a buffer: it proves nothing about the backend.
                    write = partial(file.write, chunk[start : start + PART_BYTES])
                    await self._calls.step("put", key, write, transfer_bytes=PART_BYTES, proves=False)
                self.counters.bytes_written["put"] += len(chunk)
            await self._calls.step("put", key, file.close, transfer_bytes=PART_BYTES, proves=True)
        await self._confirm(key, size, patience_seconds=_joining_seconds(size))
        return size

    async def get(self, key: str, *, max_bytes: int) -> bytes:
        """Return the whole object; StorageNotFound, or StorageObjectTooLarge if it has more than ``max_bytes``."""
        checked_key(key)

        async def attempt() -> bytes:
            file = await self._operator.open(key, "rb")
            pieces, size = [], 0
            while piece := await file.read(min(READ_BYTES, max_bytes - size + 1)):
                size += len(piece)
                if size > max_bytes:
                    raise StorageObjectTooLarge(f"the object {key!r} has more than {max_bytes} bytes")
                pieces.append(piece)
            return b"".join(pieces)

        async def own() -> bytes:
            data = await self._calls.run("get", key, attempt, transfer_bytes=max_bytes)
            self.counters.bytes_read["get"] += len(data)
            return data

        return await self._or_fallback(own(), lambda other: other.get(key, max_bytes=max_bytes))

    async def get_range(self, key: str, offset: int, size: int) -> bytes:
        """Return exactly ``size`` bytes from ``offset``; StorageRangeOutside if the object does not have them all."""
        checked_key(key)
        if offset < 0 or size < 0:
            raise StorageRangeOutside(f"a range starts and ends at or after 0, not at {offset} with {size} bytes")
        if size == 0:
            return b""
        own = self._own_range(key, offset, size)
        return await self._or_fallback(own, lambda other: other.get_range(key, offset, size))

    def stream(self, key: str, *, offset: int = 0, size: int | None = None) -> ObjectStream:
        """Return the object's bytes from ``offset`` as they arrive, in pieces of at most 1 MiB.

        With ``size`` exactly so many, StorageRangeOutside after the last piece if there are fewer.
        """
        checked_key(key)
        if offset < 0 or (size is not None and size < 0):
            raise StorageRangeOutside(f"a range starts and ends at or after 0, not at {offset} with {size} bytes")
        other = self.fallback
        instead = None if other is None else partial(other.stream, key, offset=offset, size=size)
        return ObjectStream(self._operator, self._calls, key, offset=offset, size=size, instead=instead)

    async def download(self, key: str, path: Path) -> Downloaded:
        """The object is at ``path``, whole or not at all; return what arrived, for the caller to check."""
        part = path.with_name(f".{random_id()}.part")
        try:
            with await asyncio.to_thread(part.open, "xb") as file:
                downloaded = await _save(self.stream(key), file)
            await asyncio.to_thread(part.replace, path)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        return downloaded

    async def stat(self, key: str) -> ObjectStat:
        """Return what the store tells of the object; StorageNotFound if there is none."""
        checked_key(key)
        return await self._or_fallback(self._own_stat(key), lambda other: other.stat(key))

    async def exists(self, key: str) -> bool:
        """Return whether the store has the object now."""
        try:
            await self.stat(key)
        except StorageNotFound:
            return False
        return True

    async def list(self, prefix: str = "", *, start_after: str | None = None) -> AsyncIterator[ObjectStat]:
        """Yield all objects below the folder ``prefix`` ("" is everything), by key in the order of their bytes.

        ``start_after`` is a key; it and what sorts before it is left out. In memory are 1,000 entries, or one folder
        where the store lists in no order. What changes meanwhile may or may not appear.
        """
        folder = checked_folder(prefix)
        if start_after is not None:
            checked_key(start_after)
        in_order = list_pages if self._lists_from else list_folders
        async for found in in_order(self._operator, self._calls, folder, start_after):
            yield found

    async def delete(self, key: str) -> None:
        """The store has no object ``key``, whether or not it had one."""
        checked_key(key)
        try:
            await self._calls.run("delete", key, lambda: self._operator.delete(key))
        except StorageNotFound:
            return  # below an object, or a folder: nothing of this name

    async def delete_prefix(self, prefix: str) -> int:
        """Every object below the folder ``prefix`` is deleted; return how many there were.

        Nobody may write there meanwhile or afterwards. An empty prefix is refused: nobody means everything.
        """
        folder = checked_folder(checked_key(prefix.removesuffix("/")))
        deleted, batch = 0, list[str]()
        async for found in self.list(prefix):
            batch.append(found.key)
            if len(batch) == DELETES_AT_ONCE:
                await self._delete_all(batch)
                deleted, batch = deleted + len(batch), []
        await self._delete_all(batch)
        if self._folder is not None:
            await asyncio.to_thread(self._folder.remove_empty_folders, folder)
        return deleted + len(batch)

    async def copy(self, source: str, target: str) -> None:
        """The store has the bytes of ``source`` under ``target`` too; StorageNotFound if there is no source."""
        checked_key(target)
        try:
            size = (await self._own_stat(checked_key(source))).size
        except StorageNotFound:
            if self.fallback is None:
                raise
            size = None
        if not self._copies or size is None or size > COPY_BYTES_MAX:
            await self.put_stream(target, self.stream(source))
            return
        await self._calls.run("copy", source, lambda: self._operator.copy(source, target), transfer_bytes=size)
        await self._confirm(target, size)

    async def signed_url(
        self,
        key: str,
        *,
        expires_seconds: int,
        content_type: str | None = None,
        content_disposition: str | None = None,
    ) -> str | None:
        """Return an address from which anyone can GET this object (ranges too) for so many seconds.

        None where the store has none, or none that is safe: then stream through the node. The answer will carry the
        content type and disposition given here. That the object exists is not checked.
        """
        checked_key(key)
        if not 0 < expires_seconds <= URL_SECONDS_MAX:
            raise ValueError(f"a signed URL lives 1 to {URL_SECONDS_MAX} seconds, not {expires_seconds}")
        if self.fallback is not None and not await self._has_own(key):
            return await self.fallback.signed_url(
                key,
                expires_seconds=expires_seconds,
                content_type=content_type,
                content_disposition=content_disposition,
            )
        if not self._signs:
            return None
        await self._calls.admit("sign")
        with self._calls.guarded("sign", key, proves=False):
            async with asyncio.timeout(self._calls.deadline_seconds):
                request = await self._operator.presign_read(
                    key, expires_seconds, content_type=content_type, content_disposition=content_disposition
                )
        return request.url

    async def ping(self) -> float:
        """Return the seconds one request took; StorageUnavailable or StorageMisconfigured if it failed."""
        start = time.monotonic()
        await self._calls.run("ping", "", self._touch)
        return time.monotonic() - start

    async def self_test(self) -> None:
        """The store was seen to do all Cairn relies on; StorageMisconfigured names the first behaviour it lacks.

        For the start of a program: 20 requests, 8 MiB each way. Leaves no object behind.
        """
        if self._folder is not None:
            await asyncio.to_thread(self._folder.sweep_incoming)
        await check_behaviour(self)

    @asynccontextmanager
    async def _writer(self, key: str) -> AsyncIterator[AsyncOperator]:
        """Give the operator for one write; when the block ends well, the write survives a power cut."""
        if self._folder is None:
            yield self._operator
            return
        async with self._folder.writer(key) as operator:
            yield operator

    async def _or_fallback(self, own: Awaitable[T], instead: "Callable[[Storage], Awaitable[T]]") -> T:
        """Return what this store has, else what the fallback has; if neither, what this store said stands."""
        try:
            return await own
        except (StorageNotFound, StorageUnavailable) as error:
            if self.fallback is None:
                raise
            try:
                return await instead(self.fallback)
            except StorageNotFound:
                raise error from None

    async def _own_range(self, key: str, offset: int, size: int) -> bytes:
        try:
            data = await self._calls.run(
                "get", key, lambda: self._operator.read(key, offset=offset, size=size), transfer_bytes=size
            )
        except StorageCorrupt:
            await self._require_range(key, offset, size)
            raise
        self.counters.bytes_read["get"] += len(data)
        return data

    async def _own_stat(self, key: str) -> ObjectStat:
        metadata = await self._calls.run("stat", key, lambda: self._operator.stat(key))
        if not metadata.is_file:
            raise StorageNotFound(f"the object store has no {key!r}")
        return stat_of(key, metadata)

    async def _has_own(self, key: str) -> bool:
        try:
            await self._own_stat(key)
        except StorageNotFound:
            return False
        return True

    async def _confirm(self, key: str, size: int, *, patience_seconds: float = 0) -> None:
        """Ask the store what it has: a proxy may have cut the body and still said yes.

        ``patience_seconds``: so long it may not have it yet, because it still puts the parts of an upload together.
        """
        until = time.monotonic() + patience_seconds
        while True:
            try:
                found = (await self._own_stat(key)).size
                break
            except StorageNotFound:
                if time.monotonic() >= until:
                    raise StorageCorrupt(f"the object store confirmed {key!r} and does not have it") from None
            await asyncio.sleep(JOINED_ASKED_EVERY_SECONDS)
        if found != size:
            raise StorageCorrupt(f"the object store has {found} bytes of {key!r} instead of {size}")

    async def _require_range(self, key: str, offset: int, size: int) -> None:
        has = (await self._own_stat(key)).size
        if offset + size > has:
            raise StorageRangeOutside(f"{key!r} has {has} bytes, not {offset + size}")

    async def _delete_all(self, keys: Sequence[str]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for key in keys:
                    group.create_task(self.delete(key))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _touch(self) -> None:
        if self._folder is not None:
            await asyncio.to_thread(self._folder.objects.stat)
        else:
            await read_page(self._operator, "", None, 1)


def _joining_seconds(size: int) -> float:
    return size / JOINED_BYTES_PER_SECOND_MIN if size > PART_BYTES else 0


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _read(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, FILE_BATCH_BYTES):
        yield piece


async def _save(stream: ObjectStream, file: BinaryIO) -> Downloaded:
    digest, size, batch = hashlib.sha256(), 0, bytearray()

    def flush() -> None:
        file.write(batch)
        digest.update(batch)
        batch.clear()

    async with stream:
        async for piece in stream:
            size += len(piece)
            batch += piece
            if len(batch) >= FILE_BATCH_BYTES:
                await asyncio.to_thread(flush)
    await asyncio.to_thread(flush)
    return Downloaded(size, digest.hexdigest())
