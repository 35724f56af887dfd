"""The fetch cache: one run for equal requests, every reader the whole answer, and nothing that ends the program."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.services.ports import eventually

from cairn.base.errors import CairnError, Malformed, Unavailable
from cairn.base.settings import Settings
from cairn.git.fetch_cache import IN_MEMORY_BYTES, FetchCache, Flight, Produce, answer_key
from cairn.git.node_cache import DiskFull, NodeCache
from cairn.git.shared_answers import SharedFetch
from cairn.storage.errors import StorageUnavailable
from cairn.storage.storage import Storage, open_storage

SMALL = b"0008data" + b"0000"
LARGE = os.urandom(3 * IN_MEMORY_BYTES) + b"0000"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(Settings(storage_url=f"file://{tmp_path / 'store'}"))


@pytest.fixture
async def answers(tmp_path: Path, storage: Storage) -> AsyncIterator[FetchCache]:
    async with asyncio.TaskGroup() as group:
        cache = FetchCache(NodeCache(tmp_path / "cache", storage, max_bytes=1 << 30), storage, group)
        yield cache
        cache.close()


class Runs:
    """Produces one answer and counts how often; ``gate`` holds its second half back."""

    def __init__(self, answer: bytes, *, error: Exception | None = None) -> None:
        self.answer = answer
        self.error = error
        self.started = 0
        self.ended = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        self.started += 1
        try:
            middle = len(self.answer) // 2
            yield self.answer[:middle]
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            yield self.answer[middle:]
        finally:
            self.ended += 1


async def read(
    cache: FetchCache, produce: Produce, *, key: str = "key", shared: SharedFetch | None = None, is_final: bool = True
) -> bytes:
    """Fetch as a request does."""
    found = cache.find(key)
    if isinstance(found, bytes):
        return found
    if found is not None:
        return found.read_bytes()
    async with cache.fly(key, produce, shared=shared, is_final=lambda head: is_final) as flight:
        return b"".join([chunk async for chunk in flight.chunks()])


async def settled(cache: FetchCache) -> None:
    """Wait until no run is under way, not even one that only shares."""

    async def is_idle() -> bool:
        return not cache._running

    await eventually(is_idle, within_seconds=5, what="the runs are over")


def files(cache: FetchCache, kind: str) -> int:
    return len(list((cache._cache.root / kind).iterdir()))


@pytest.mark.parametrize("answer", [SMALL, LARGE, b""])
async def test_an_answer_is_made_once_and_then_kept(answers: FetchCache, answer: bytes) -> None:
    runs = Runs(answer)
    for _ in range(3):
        assert await read(answers, runs) == answer
    assert runs.started == runs.ended == 1
    assert files(answers, "tmp") == 0


@pytest.mark.parametrize("answer", [SMALL, LARGE])
async def test_equal_requests_in_flight_share_one_run(answers: FetchCache, answer: bytes) -> None:
    runs = Runs(answer)
    runs.gate.clear()
    readers = [asyncio.create_task(read(answers, runs)) for _ in range(5)]
    await eventually(lambda: _is(runs.started == 1), within_seconds=5, what="the run began")
    late = asyncio.create_task(read(answers, runs))
    runs.gate.set()
    assert set(await asyncio.gather(*readers, late)) == {answer}
    assert runs.started == 1


async def _is(value: bool) -> bool:
    return value


async def test_what_is_not_final_is_not_kept(answers: FetchCache) -> None:
    runs = Runs(SMALL)
    assert await read(answers, runs, is_final=False) == SMALL
    assert await read(answers, runs, is_final=False) == SMALL
    assert runs.started == 2
    assert files(answers, "fetch") == 0


async def test_a_reader_that_leaves_does_not_disturb_the_others(answers: FetchCache) -> None:
    runs = Runs(LARGE)
    runs.gate.clear()
    leaving, staying = (asyncio.create_task(read(answers, runs)) for _ in range(2))
    await eventually(lambda: _is(runs.started == 1), within_seconds=5, what="the run began")
    leaving.cancel()
    await asyncio.wait({leaving})
    runs.gate.set()
    assert await staying == LARGE
    assert runs.started == 1


async def test_the_last_reader_to_leave_ends_the_run(answers: FetchCache) -> None:
    runs = Runs(LARGE)
    runs.gate.clear()
    reader = asyncio.create_task(read(answers, runs))
    await eventually(lambda: _is(runs.started == 1), within_seconds=5, what="the run began")
    reader.cancel()
    await asyncio.wait({reader})
    await settled(answers)
    assert runs.ended == 1
    assert files(answers, "tmp") == files(answers, "fetch") == 0
    runs.gate.set()
    assert await read(answers, runs) == LARGE


@pytest.mark.parametrize("answer", [SMALL, LARGE])
async def test_an_error_reaches_every_reader_and_is_not_kept(answers: FetchCache, answer: bytes) -> None:
    runs = Runs(answer, error=Malformed("no such thing"))
    results = await asyncio.gather(*(read(answers, runs) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [Malformed] * 3
    runs.error = None
    assert await read(answers, runs) == answer
    assert files(answers, "tmp") == 0


async def test_an_unforeseen_error_is_told_without_its_words(answers: FetchCache) -> None:
    with pytest.raises(Unavailable) as told:
        await read(answers, Runs(SMALL, error=RuntimeError("secret path")))
    assert "secret" not in told.value.message


async def test_a_reader_slower_than_its_run_reads_on_from_the_file(
    answers: FetchCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.git.fetch_cache._RECENT_BYTES_MAX", 0)
    runs = Runs(LARGE)
    async with answers.fly("key", runs, shared=None, is_final=lambda head: True) as flight:
        chunks = flight.chunks()
        got = await anext(chunks)
        await settled(answers)
        path = answers.find("key")
        assert isinstance(path, Path)
        path.unlink()  # evicted meanwhile
        got += b"".join([chunk async for chunk in chunks])
    assert got == LARGE


@pytest.mark.parametrize("recent_bytes", [0, IN_MEMORY_BYTES, 1 << 22])
async def test_every_pace_reads_the_same_bytes(
    answers: FetchCache, monkeypatch: pytest.MonkeyPatch, recent_bytes: int
) -> None:
    monkeypatch.setattr("cairn.git.fetch_cache._RECENT_BYTES_MAX", recent_bytes)
    whole = bytes(range(251)) * 12_000  # a shifted piece shows
    sizes = [1, 70_000, 250_001, 0, 300_000, 13, 900_000]

    async def produce() -> AsyncGenerator[bytes, None]:
        start = 0
        for size in [*sizes, len(whole) - sum(sizes)]:
            yield whole[start : start + size]
            start += size
            await asyncio.sleep(0)

    async def slowly(flight: Flight, turns: int) -> bytes:
        got = b""
        async for chunk in flight.chunks():
            got += chunk
            for _ in range(turns):
                await asyncio.sleep(0)
        return got

    async with answers.fly("key", produce, shared=None, is_final=lambda head: True) as flight:
        read_by_all = await asyncio.gather(*(slowly(flight, turns) for turns in (0, 1, 2, 5, 30)))
        assert flight._recent_bytes == sum(len(chunk) for _, chunk in flight._recent) <= recent_bytes
    assert set(read_by_all) == {whole}


async def test_an_answer_is_uploaded_only_when_its_readers_are_served(answers: FetchCache, storage: Storage) -> None:
    key = "cache/fetch/1/x"
    async with answers.fly("key", Runs(LARGE), shared=SharedFetch(key), is_final=lambda head: True) as flight:
        assert b"".join([chunk async for chunk in flight.chunks()]) == LARGE
        await eventually(lambda: _is(answers.find("key") is not None), within_seconds=5, what="the answer is kept")
        assert not await storage.exists(key)
        assert answers._running
    await settled(answers)
    assert await storage.exists(key)


async def test_a_reader_that_stalls_does_not_keep_an_answer_from_the_other_nodes(
    answers: FetchCache, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.git.fetch_cache._SHARE_WAITS_SECONDS", 0.01)
    async with answers.fly("key", Runs(LARGE), shared=SharedFetch("cache/fetch/1/x"), is_final=lambda head: True):
        await eventually(lambda: storage.exists("cache/fetch/1/x"), within_seconds=5, what="the answer is shared")


async def test_no_descriptor_stays_open(answers: FetchCache) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for number in range(5):
        await read(answers, Runs(LARGE), key=f"key{number}")
        with pytest.raises(CairnError):
            await read(answers, Runs(LARGE, error=Malformed("x")), key=f"error{number}")
    await settled(answers)
    assert count() == before


async def test_memory_is_bounded(answers: FetchCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.git.fetch_cache._MEMORY_BYTES_MAX", 10 * len(SMALL))
    for number in range(50):
        await read(answers, Runs(SMALL), key=f"key{number}")
        answers.find(f"key{number}")
    assert answers._memory_bytes == sum(map(len, answers._memory.values())) <= 10 * len(SMALL)


async def test_another_node_gets_a_shared_answer_without_a_run(
    answers: FetchCache, storage: Storage, tmp_path: Path
) -> None:
    runs = Runs(LARGE)
    assert await read(answers, runs, shared=SharedFetch("cache/fetch/1/x")) == LARGE
    await settled(answers)
    async with asyncio.TaskGroup() as group:
        other = FetchCache(NodeCache(tmp_path / "other", storage, max_bytes=1 << 30), storage, group)
        assert await read(other, runs, shared=SharedFetch("cache/fetch/1/x")) == LARGE
        assert await read(other, runs) == LARGE
    assert runs.started == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "tiny"])
async def test_a_damaged_shared_answer_is_deleted_and_never_believed(
    answers: FetchCache, storage: Storage, damage: str
) -> None:
    key, runs = "cache/fetch/1/x", Runs(LARGE)
    await read(answers, runs, shared=SharedFetch(key))
    await settled(answers)
    whole = await storage.get(key, max_bytes=1 << 24)
    flipped = bytes([whole[0] ^ 1]) + whole[1:]
    await storage.put(key, {"cut": whole[:-50], "flipped": flipped, "empty": b"", "tiny": b"0000"}[damage])
    _forget(answers)
    if damage == "flipped":
        # Its bytes are on their way before the last one is known: the transfer fails instead of ending well.
        with pytest.raises(Unavailable):
            await read(answers, runs, shared=SharedFetch(key))
        assert not await storage.exists(key)
    assert await read(answers, runs, shared=SharedFetch(key)) == LARGE
    assert runs.started == 2


def _forget(cache: FetchCache) -> None:
    cache._memory.clear()
    for path in (cache._cache.root / "fetch").iterdir():
        path.unlink()


async def test_an_object_store_out_of_reach_costs_only_the_sharing(
    answers: FetchCache, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F6: packs are here, the bucket is not; and what runs after the answer must not end the program."""

    async def away(*arguments: object, **options: object) -> None:
        raise StorageUnavailable("away")

    for name in ("stat", "put_stream"):
        monkeypatch.setattr(storage, name, away)
    assert await read(answers, Runs(LARGE), shared=SharedFetch("cache/fetch/1/x")) == LARGE
    await settled(answers)


async def test_a_disk_that_fails_later_work_does_not_end_the_program(
    answers: FetchCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*, added_bytes: int = 0) -> None:
        raise PermissionError("the cache's folder")

    monkeypatch.setattr(answers._cache, "weigh", fail)
    assert await read(answers, Runs(LARGE)) == LARGE
    await settled(answers)
    assert await read(answers, Runs(SMALL), key="other") == SMALL


async def test_a_full_disk_fails_the_answer_by_name_and_makes_room(
    answers: FetchCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(flight: Flight, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    runs = Runs(LARGE)
    with monkeypatch.context() as patch:
        patch.setattr(Flight, "_append", full)
        with pytest.raises(DiskFull):
            await read(answers, runs)
    await settled(answers)
    assert runs.ended == 1  # its child is gone, not left to the garbage collector
    assert await read(answers, runs) == LARGE


async def test_readers_are_told_when_the_program_stops(answers: FetchCache) -> None:
    runs = Runs(LARGE)
    runs.gate.clear()
    async with AsyncExitStack() as stack:
        flight = await stack.enter_async_context(answers.fly("key", runs, shared=None, is_final=lambda head: True))
        reader = asyncio.create_task(_drain(flight))
        await eventually(lambda: _is(runs.started == 1), within_seconds=5, what="the run began")
        answers.close()
        with pytest.raises(Unavailable):
            await reader


async def _drain(flight: Flight) -> int:
    return sum([len(chunk) async for chunk in flight.chunks()])


def test_keys_differ_where_parts_differ() -> None:
    assert answer_key(1, b"ab", b"c") != answer_key(1, b"a", b"bc") != answer_key(1, b"a", b"b", b"c")
    assert answer_key(1, "") != answer_key(1)
    assert len(answer_key()) == 64


async def test_a_run_that_outlives_its_readers_is_there_for_the_next(answers: FetchCache) -> None:
    """A page does not wait for it, and a crawler never asks again for the rest: it must be made once all the same."""
    runs = Runs(SMALL)
    runs.gate.clear()
    key = answer_key("outlives")
    async with (
        answers.fly(key, runs, shared=None, is_final=lambda head: True, outlives_readers=True) as flight,
        asyncio.timeout(20),
    ):
        await anext(flight.chunks())
    runs.gate.set()

    async def is_kept() -> bool:
        return answers.find(key) == SMALL

    await eventually(is_kept, within_seconds=20, what="the answer is kept")
    assert (runs.started, runs.ended) == (1, 1)
