"""The numbers the metrics page shows of the store."""

import pytest
from tests.storage.http_stub import Answer, HttpStub

from cairn.storage.breaker import BreakerState
from cairn.storage.calls import RETRIES_MAX
from cairn.storage.counters import StorageCounters
from cairn.storage.errors import StorageNotFound, StorageUnavailable
from cairn.storage.storage import Storage


async def test_the_counters_tell_calls_and_bytes(storage: Storage) -> None:
    await storage.put("k", b"12345")
    await storage.get("k", max_bytes=10)
    assert [piece async for piece in storage.stream("k")] == [b"12345"]
    counters = storage.counters
    assert (counters.calls["put"], counters.calls["get"], counters.calls["stream"]) == (1, 1, 1)
    assert (counters.bytes_written["put"], counters.bytes_read["get"], counters.bytes_read["stream"]) == (5, 5, 5)
    assert not counters.failures


async def test_an_absent_object_is_a_call_and_no_failure(storage: Storage) -> None:
    with pytest.raises(StorageNotFound):
        await storage.get("no/such", max_bytes=10)
    counters = storage.counters
    assert counters.calls["get"] == 1
    assert not counters.failures
    assert not counters.retries
    assert not counters.bytes_read


async def test_a_call_counts_once_however_often_it_was_tried(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(503)
    storage = stub.storage()
    with pytest.raises(StorageUnavailable):
        await storage.get("k", max_bytes=10)
    counters = storage.counters
    assert (counters.calls["get"], counters.retries["get"], counters.failures["get"]) == (1, RETRIES_MAX, 1)


async def test_what_the_breaker_refuses_is_a_rejection_and_not_a_call(stub: HttpStub) -> None:
    storage = stub.storage()
    while storage.breaker_state is not BreakerState.OPEN:
        storage._calls.breaker.failed()
    with pytest.raises(StorageUnavailable):
        await storage.get("k", max_bytes=10)
    assert storage.counters.rejections == {"get": 1}
    assert not storage.counters.calls
    assert stub.requests == []


def test_each_store_has_numbers_of_its_own() -> None:
    one, two = StorageCounters(), StorageCounters()
    one.calls["get"] += 1
    assert not two.calls
    assert not one.retries
