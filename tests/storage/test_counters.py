"""The numbers the metrics page shows of the store."""

from cairn.storage.storage import Storage


async def test_the_counters_tell_calls_and_bytes(storage: Storage) -> None:
    await storage.put("k", b"12345")
    await storage.get("k", max_bytes=10)
    assert [piece async for piece in storage.stream("k")] == [b"12345"]
    counters = storage.counters
    assert (counters.calls["put"], counters.calls["get"], counters.calls["stream"]) == (1, 1, 1)
    assert (counters.bytes_written["put"], counters.bytes_read["get"], counters.bytes_read["stream"]) == (5, 5, 5)
    assert not counters.failures
