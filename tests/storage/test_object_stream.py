"""Streams: any part of an object, in bounded memory, left whenever the reader likes."""

import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.services.ports import eventually
from tests.storage.conftest import MIB, pieces

from cairn.storage.errors import StorageRangeOutside
from cairn.storage.storage import Storage


async def test_a_stream_can_start_and_end_anywhere(storage: Storage) -> None:
    data = os.urandom(3 * MIB + 7)
    await storage.put("k", data)

    async def read(offset: int, size: int | None) -> bytes:
        return b"".join([piece async for piece in storage.stream("k", offset=offset, size=size)])

    assert await read(0, None) == data
    assert await read(MIB + 1, None) == data[MIB + 1 :]
    assert await read(5, 2 * MIB) == data[5 : 5 + 2 * MIB]
    assert await read(7, 0) == b""
    assert await read(len(data), None) == b""
    with pytest.raises(StorageRangeOutside):
        await read(len(data) - 3, 4)


async def test_a_stream_left_early_can_be_left_many_times(storage: Storage) -> None:
    await storage.put_stream("k", pieces(*[os.urandom(MIB)] * 12))
    before = _open_files()
    for _ in range(30):
        async with storage.stream("k") as stream:
            assert await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    for _ in range(30):
        async for _piece in storage.stream("k"):
            break

    async def are_closed() -> bool:
        return _open_files() <= before + 10

    await eventually(are_closed, within_seconds=10, what="the connections of left streams are closed")
    assert await storage.get_range("k", 0, 1)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_streaming_both_ways_keeps_memory_bounded(large_storage: Storage) -> None:
    block = os.urandom(MIB)
    start, peak = _resident_bytes(), 0

    async def blocks() -> AsyncIterator[bytes]:
        nonlocal peak
        for _ in range(200):
            peak = max(peak, _resident_bytes())
            yield block

    assert await large_storage.put_stream("big", blocks()) == 200 * MIB
    digest = hashlib.sha256()
    async with large_storage.stream("big") as stream:
        async for piece in stream:
            assert len(piece) <= MIB
            digest.update(piece)
            peak = max(peak, _resident_bytes())
    assert digest.hexdigest() == hashlib.sha256(block * 200).hexdigest()
    assert peak - start < 100 * MIB


def _resident_bytes() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024
