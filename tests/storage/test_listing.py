"""Lists are complete and in the order of keys, whether or not the store lists in order."""

import asyncio

from tests.storage.conftest import keys

from cairn.storage.listing import ObjectStat
from cairn.storage.storage import Storage


async def test_a_list_is_in_the_order_of_keys_and_starts_where_told(storage: Storage) -> None:
    expected = ["a", "b-c/x", "b.c", "b/a/z", "b/b", "b/c", "b0", "c/d/e/f", "z"]
    for key in reversed(expected):
        await storage.put(key, key.encode())
    assert await keys(storage) == expected
    for position, key in enumerate(expected):
        assert await keys(storage, start_after=key) == expected[position + 1 :]
    assert await keys(storage, "b") == ["b/a/z", "b/b", "b/c"]
    assert await keys(storage, "b/") == ["b/a/z", "b/b", "b/c"]
    assert await keys(storage, "b", start_after="b/a/z") == ["b/b", "b/c"]
    assert await keys(storage, "no/such") == []
    assert [found.size async for found in storage.list("b")] == [5, 3, 3]


async def test_a_list_of_more_than_a_page_is_complete(storage: Storage) -> None:
    expected = [f"page/{number:05}" for number in range(1203)]
    gate = asyncio.Semaphore(16)

    async def put(key: str) -> None:
        async with gate:
            await storage._operator.write(key, b"x")  # without the confirmation: half the requests

    async with asyncio.TaskGroup() as group:
        for key in expected:
            group.create_task(put(key))
    assert await keys(storage, "page") == expected
    assert await keys(storage, "page", start_after=expected[999]) == expected[1000:]
    assert await storage.delete_prefix("page") == 1203
    assert await keys(storage) == []


async def test_stat_tells_size_and_time(storage: Storage) -> None:
    await storage.put("k", b"12345")
    stat = await storage.stat("k")
    assert isinstance(stat, ObjectStat)
    assert (stat.key, stat.size) == ("k", 5)
    assert stat.modified_at is None or stat.modified_at.tzinfo is not None
