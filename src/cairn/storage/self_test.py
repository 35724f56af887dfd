"""The start-up check: a store that only nearly behaves is refused before anything relies on it."""

import hashlib
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, TypeVar

from cairn.base.errors import CairnError
from cairn.base.ids import random_id
from cairn.storage.calls import PART_BYTES
from cairn.storage.errors import StorageMisconfigured, StorageUnavailable

if TYPE_CHECKING:
    from cairn.storage.storage import Storage

FOLDER = "self-test"
SMALL = b"first" * 20
REPLACEMENT = b"the second object is longer " * 10
STREAM_BYTES = PART_BYTES + 1000
"""Just over one part: the smallest object that goes the way of the largest."""
SMALL_BYTES_MAX = 1 << 16

T = TypeVar("T")


async def check_behaviour(storage: "Storage") -> None:
    """The store does all of this, in this order; StorageMisconfigured says which it did not. No object is left.

    StorageUnavailable passes: a store that is away is not a store that misbehaves.
    """
    folder = f"{FOLDER}/{random_id()}"
    small, streamed = f"{folder}/small", f"{folder}/streamed"
    try:
        await _check_small(storage, small)
        await _check_range(storage, small)
        await _check_streamed(storage, streamed)
        await _check_list(storage, folder, {small: len(REPLACEMENT), streamed: STREAM_BYTES})
    finally:
        await _step(storage, "deletes an object", storage.delete(small))
        await _step(storage, "deletes an object", storage.delete(streamed))
    await _check_gone(storage, folder, small)


async def _check_small(storage: "Storage", key: str) -> None:
    await _step(storage, "keeps a new object", storage.put(key, SMALL))
    found = await _step(storage, "gives an object just written", storage.get(key, max_bytes=SMALL_BYTES_MAX))
    _require(storage, found == SMALL, "a new object reads back as it was written")
    await _step(storage, "replaces an object", storage.put(key, REPLACEMENT))
    found = await _step(storage, "gives an object just replaced", storage.get(key, max_bytes=SMALL_BYTES_MAX))
    _require(storage, found == REPLACEMENT, "a replaced object reads back as it was written last")
    stat = await _step(storage, "tells an object's size", storage.stat(key))
    _require(storage, stat.size == len(REPLACEMENT), "the size it tells is the size that was written")


async def _check_range(storage: "Storage", key: str) -> None:
    found = await _step(storage, "gives a range of an object", storage.get_range(key, 7, 11))
    _require(storage, found == REPLACEMENT[7:18], "a range has exactly the bytes that were asked for")


async def _check_streamed(storage: "Storage", key: str) -> None:
    await _step(storage, "keeps an object sent in parts", storage.put_stream(key, _block_by_block()))
    digest = hashlib.sha256()
    async with storage.stream(key) as stream:
        try:
            async for piece in stream:
                digest.update(piece)
        except CairnError as error:
            raise _explained(storage, "gives an object sent in parts", error) from error
    expected = hashlib.sha256()
    async for block in _block_by_block():
        expected.update(block)
    is_equal = digest.digest() == expected.digest()
    _require(storage, is_equal, "an object sent in parts reads back as it was written")


async def _check_list(storage: "Storage", folder: str, expected: dict[str, int]) -> None:
    try:
        found = {stat.key: stat.size async for stat in storage.list(folder)}
    except CairnError as error:
        raise _explained(storage, "lists objects just written", error) from error
    _require(storage, found == expected, "a list has every object just written, with its size")


async def _check_gone(storage: "Storage", folder: str, key: str) -> None:
    exists = await _step(storage, "says that an object is gone", storage.exists(key))
    _require(storage, not exists, "a deleted object is gone")
    await _step(storage, "takes the deletion of an absent object", storage.delete(key))
    await _step(storage, "lists an empty folder", storage.delete_prefix(folder))


async def _block_by_block() -> AsyncIterator[bytes]:
    """Yield STREAM_BYTES bytes in which no two blocks are equal, so that parts in the wrong order show."""
    sent = 0
    number = 0
    while sent < STREAM_BYTES:
        block = hashlib.sha256(str(number).encode()).digest() * 2048
        block = block[: STREAM_BYTES - sent]
        yield block
        sent += len(block)
        number += 1


async def _step(storage: "Storage", promise: str, call: Awaitable[T]) -> T:
    try:
        return await call
    except CairnError as error:
        raise _explained(storage, promise, error) from error


def _require(storage: "Storage", is_kept: bool, promise: str) -> None:
    if not is_kept:
        raise StorageMisconfigured(
            f"the object store ({storage.label}) cannot be used: Cairn needs that {promise}; this did not hold"
        )


def _explained(storage: "Storage", promise: str, error: CairnError) -> CairnError:
    if isinstance(error, StorageUnavailable):
        return error
    return StorageMisconfigured(
        f"the object store ({storage.label}) cannot be used: Cairn needs that it {promise}, but {error.message}"
    )
