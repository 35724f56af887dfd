"""Streams: any part of an object, in bounded memory, left whenever the reader likes."""

import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.services.ports import eventually
from tests.storage.conftest import MIB, pieces
from tests.storage.http_stub import Answer, HttpStub

from cairn.storage.errors import StorageNotFound, StorageRangeOutside, StorageUnavailable
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


async def test_bytes_are_handed_out_as_they_come_however_much_is_missing(stub: HttpStub) -> None:
    """A store that is slow is read: what must arrive within one attempt is any byte."""
    stub.answer = lambda _: Answer(200, b"x" * 1000, declared_bytes=MIB, hangs=True)
    async with stub.storage().stream("k") as stream:
        assert set(await anext(stream)) == set(b"x")
    assert len(stub.requests) == 1


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


async def test_nothing_is_asked_before_the_first_piece_is_wanted(stub: HttpStub) -> None:
    async with stub.storage().stream("k"):
        pass
    assert [piece async for piece in stub.storage().stream("k", size=0)] == []
    assert stub.requests == []


async def test_a_transfer_that_breaks_is_an_error_never_a_shorter_object(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(200, b"x" * MIB, declared_bytes=3 * MIB)
    stream = stub.storage().stream("k")

    async def read() -> int:
        return sum([len(piece) async for piece in stream])

    with pytest.raises(StorageUnavailable):
        await read()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_an_object_that_is_absent_is_told_with_the_first_piece_and_ends_the_stream(storage: Storage) -> None:
    stream = storage.stream("no/such")
    with pytest.raises(StorageNotFound):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_only_bytes_that_were_handed_out_are_counted(memory_storage: Storage) -> None:
    await memory_storage.put("k", b"x" * (3 * MIB))
    async with memory_storage.stream("k", offset=MIB) as stream:
        assert len(await anext(stream)) == MIB
    assert memory_storage.counters.bytes_read["stream"] == MIB
