"""Lists are complete and in the order of keys, whether or not the store lists in order."""

import asyncio

import pytest
from tests.storage.conftest import keys
from tests.storage.http_stub import Answer, HttpStub, LyingStore

from cairn.storage.errors import StorageUnavailable
from cairn.storage.listing import PAGE_ENTRIES, ObjectStat
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


def full_page() -> LyingStore:
    """A store with exactly one page of objects."""
    store = LyingStore()
    store.objects = {f"{number:04}": b"x" for number in range(PAGE_ENTRIES)}
    return store


async def test_a_list_that_ends_with_a_page_is_not_cut_and_does_not_repeat(stub: HttpStub) -> None:
    """The last page is full: whether it was the last is known only by asking once more."""
    store, nothing = full_page(), LyingStore()
    stub.answer = lambda request: nothing(request) if "start-after" in request.path else store(request)
    storage = stub.storage()
    assert await keys(storage) == sorted(store.objects)
    assert storage.counters.calls["list"] == 2
    assert "start-after=0999" in stub.requests[-1].path


async def test_a_list_left_early_asks_for_no_further_page(stub: HttpStub) -> None:
    stub.answer = full_page()
    storage = stub.storage()
    async for found in storage.list():
        assert found.key == "0000"
        break
    assert storage.counters.calls["list"] == 1


async def test_a_list_that_starts_inside_a_folder_does_not_open_the_folders_before_it(folder_storage: Storage) -> None:
    for key in ("a/1", "b/1", "b/2", "c/1"):
        await folder_storage.put(key, b"x")
    assert await keys(folder_storage, start_after="b/1") == ["b/2", "c/1"]
    assert folder_storage.counters.calls["list"] == 3, "the top, b and c"


async def test_a_list_reports_a_store_that_fails_in_its_middle(stub: HttpStub) -> None:
    """What was read before must not be taken for all there is: a sweep would delete the rest."""
    store = full_page()
    stub.answer = lambda request: Answer(500) if "start-after" in request.path else store(request)
    found = stub.storage().list()
    assert [(await anext(found)).key for _ in range(PAGE_ENTRIES)] == sorted(store.objects)
    with pytest.raises(StorageUnavailable):
        await anext(found)
