"""Retries are bounded, deadlines hold, and a no is not a failure."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from tests.storage.http_stub import Answer, HttpStub, LyingStore, Request

from cairn.base.patience import patience
from cairn.storage.breaker import BreakerState
from cairn.storage.calls import RETRIES_MAX
from cairn.storage.errors import (
    StorageMisconfigured,
    StorageNotFound,
    StorageRefused,
    StorageUnavailable,
)
from cairn.storage.storage import Storage


async def _chunk(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _always(answer: Answer, _: Request) -> Answer:
    return answer


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_failing_store_is_asked_ten_times_and_no_more(stub: HttpStub, status: int) -> None:
    stub.answer = lambda _: Answer(status)
    storage = stub.storage()
    with pytest.raises(StorageUnavailable):
        await storage.get("k", max_bytes=10)
    assert len(stub.requests) == RETRIES_MAX + 1
    assert storage.counters.retries["get"] == RETRIES_MAX
    assert storage.counters.failures["get"] == 1


async def test_parts_of_an_upload_are_asked_ten_times_and_no_more(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(500)
    with pytest.raises(StorageUnavailable):
        await stub.storage().put_stream("k", _chunk(b"x"))
    assert len(stub.requests) == RETRIES_MAX + 1


async def test_a_store_that_recovers_in_time_is_not_noticed(stub: HttpStub) -> None:
    store = LyingStore()
    store.objects["k"] = b"x"
    stub.answer = lambda request: store(request) if len(stub.requests) > RETRIES_MAX else Answer(503)
    storage = stub.storage()
    assert await storage.get("k", max_bytes=10) == b"x"
    assert storage.counters.failures["get"] == 0


async def test_three_failed_answers_in_ten_are_not_noticed(stub: HttpStub) -> None:
    """Seeded: the failures are the same in every run."""
    dice = random.Random(20261121)
    store = LyingStore()
    stub.answer = lambda request: Answer(503) if dice.random() < 0.3 else store(request)
    storage = stub.storage()
    for number in range(30):
        await storage.put(f"k/{number}", b"x")
        assert await storage.get(f"k/{number}", max_bytes=1) == b"x"
    assert sum(storage.counters.retries.values()) > 10


async def test_a_call_under_way_gives_up_when_others_open_the_breaker(stub: HttpStub) -> None:
    storage = stub.storage()

    def answer(_: Request) -> Answer:
        if len(stub.requests) == 3:
            _found_out_by_others(storage)
        return Answer(503)

    stub.answer = answer
    with pytest.raises(StorageUnavailable):
        await storage.get("k", max_bytes=10)
    assert len(stub.requests) == 3
    assert storage.breaker_state is BreakerState.OPEN


async def test_many_calls_at_once_to_a_failing_store_open_the_breaker(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(503)
    storage = stub.storage()
    ends = await asyncio.gather(*(storage.get("k", max_bytes=10) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(end, StorageUnavailable) for end in ends)
    assert storage.breaker_state is not BreakerState.CLOSED


def _found_out_by_others(storage: Storage) -> None:
    while storage.breaker_state is BreakerState.CLOSED:
        storage._calls.breaker.failed()


def _left_alone_long_enough(storage: Storage) -> None:
    _found_out_by_others(storage)
    storage._calls.breaker._next_probe_at = 0.0
    assert storage.breaker_state is BreakerState.HALF_OPEN


async def test_a_store_that_is_still_away_is_asked_once_for_many_calls(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(503)
    storage = stub.storage()
    _left_alone_long_enough(storage)
    ends = await asyncio.gather(*(storage.get("k", max_bytes=10) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(end, StorageUnavailable) for end in ends)
    assert len(stub.requests) == 1
    assert storage.breaker_state is BreakerState.OPEN
    assert storage.counters.rejections["get"] == 5


async def test_calls_side_by_side_all_go_through_once_the_store_is_back(stub: HttpStub) -> None:
    """A push writes pack and index together: if one of them were refused, the other would be given up each time."""
    stub.answer = LyingStore()
    storage = stub.storage()
    _left_alone_long_enough(storage)
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(storage.put(f"k/{number}", b"x"))
            group.create_task(storage.put_stream(f"s/{number}", _chunk(b"x")))
    assert storage.breaker_state is BreakerState.CLOSED


async def test_a_caller_that_leaves_during_its_probe_leaves_the_next_one_to_ask(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(hangs=True)
    storage = stub.storage(deadline_seconds=30)
    _left_alone_long_enough(storage)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await storage.stat("k")
    store = LyingStore()
    store.objects["k"] = b"x"
    stub.answer = store
    assert await storage.get("k", max_bytes=10) == b"x"


async def test_a_silent_probe_costs_a_request_no_more_than_its_allowance(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(hangs=True)
    storage = stub.storage(deadline_seconds=30)
    _left_alone_long_enough(storage)
    begun = time.monotonic()
    with patience(0.2), pytest.raises(StorageUnavailable):
        await storage.stat("k")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("status", "error"), [(404, StorageNotFound), (403, StorageMisconfigured), (400, StorageRefused)]
)
async def test_a_no_is_asked_for_once_and_never_opens_the_breaker(
    stub: HttpStub, status: int, error: type[Exception]
) -> None:
    stub.answer = lambda _: Answer(status)
    storage = stub.storage()
    for _ in range(8):
        with pytest.raises(error):
            await storage.get("k", max_bytes=10)
    assert len(stub.requests) == 8
    assert storage.breaker_state is BreakerState.CLOSED


async def test_a_silent_store_fails_within_the_deadline_of_every_call(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(hangs=True)
    storage = stub.storage(deadline_seconds=1)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: storage.stat("k"),
        lambda: storage.get("k", max_bytes=10),
        lambda: storage.get_range("k", 0, 10),
        lambda: anext(storage.stream("k")),
    ]
    for call in calls:
        start = time.monotonic()
        with pytest.raises(StorageUnavailable, match="no answer in time"):
            await call()
        assert time.monotonic() - start < 10
    assert len(stub.requests) <= 4 * (RETRIES_MAX + 1)
    assert storage.counters.retries["stat"] >= 1
    start = time.monotonic()
    with pytest.raises(StorageUnavailable, match="no answer in time"):
        await storage.put("k", b"x")
    assert time.monotonic() - start < 10
    assert storage.breaker_state is BreakerState.OPEN


async def test_a_store_that_goes_silent_in_the_middle_ends_the_stream(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(200, b"x" * 5000, declared_bytes=10_000, hangs=True)
    with pytest.raises(StorageUnavailable):
        async for _piece in stub.storage(deadline_seconds=1).stream("k"):
            pass


async def test_a_cancelled_call_counts_as_nothing(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(hangs=True)
    storage = stub.storage(deadline_seconds=30)
    for _ in range(6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await storage.stat("k")
    assert storage.breaker_state is BreakerState.CLOSED
    assert not storage.counters.failures


async def test_no_error_shows_address_header_or_credential(stub: HttpStub) -> None:
    for status in (400, 403, 404, 429, 500):
        answer = Answer(status, headers=(("x-internal", "rack-7"),))
        stub.answer = partial(_always, answer)
        with pytest.raises(Exception, match="object store") as raised:
            await stub.storage().get("k", max_bytes=10)
        for secret in ("127.0.0.1", str(stub.port), "rack-7", "hidden-secret", "bucket"):
            assert secret not in str(raised.value)
