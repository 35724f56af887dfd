"""The contract of an object store, held by every backend."""

import asyncio
import hashlib
import itertools
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.services.ports import eventually
from tests.services.s3 import S3Server
from tests.storage.conftest import MIB, keys, pieces
from tests.storage.http_stub import Answer, HttpStub, LyingStore, Request

from cairn.base.settings import Settings
from cairn.storage.breaker import BreakerState
from cairn.storage.calls import PART_BYTES
from cairn.storage.errors import (
    StorageCorrupt,
    StorageKeyInvalid,
    StorageMisconfigured,
    StorageNotFound,
    StorageObjectTooLarge,
    StorageRangeOutside,
    StorageUnavailable,
)
from cairn.storage.storage import Storage, open_storage


async def test_what_was_put_is_read_back(storage: Storage) -> None:
    await storage.put("packs/ab/one.pack", b"\0\xffbytes")
    assert await storage.get("packs/ab/one.pack", max_bytes=100) == b"\0\xffbytes"


async def test_an_empty_object_is_an_object(storage: Storage) -> None:
    await storage.put("empty", b"")
    assert await storage.put_stream("streamed", pieces()) == 0
    for key in ("empty", "streamed"):
        assert await storage.get(key, max_bytes=0) == b""
        assert (await storage.stat(key)).size == 0
        assert [piece async for piece in storage.stream(key)] == []


async def test_a_put_replaces_what_was_there(storage: Storage) -> None:
    await storage.put("k", b"a long first value")
    await storage.put("k", b"second")
    assert await storage.get("k", max_bytes=100) == b"second"
    assert (await storage.stat("k")).size == 6


async def test_an_absent_object_is_not_found_by_every_way_of_reading(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageNotFound):
        await storage.get("no/such", max_bytes=10)
    with pytest.raises(StorageNotFound):
        await storage.get_range("no/such", 0, 1)
    with pytest.raises(StorageNotFound):
        await storage.stat("no/such")
    with pytest.raises(StorageNotFound):
        await anext(storage.stream("no/such"))
    with pytest.raises(StorageNotFound):
        await storage.download("no/such", tmp_path / "file")
    with pytest.raises(StorageNotFound):
        await storage.copy("no/such", "target")
    assert not await storage.exists("no/such")
    assert list(tmp_path.glob(".*.part")) == []
    assert storage.breaker_state is BreakerState.CLOSED


async def test_a_folder_of_objects_is_not_an_object(storage: Storage) -> None:
    await storage.put("a/b/c", b"x")
    assert not await storage.exists("a/b")
    with pytest.raises(StorageNotFound):
        await storage.get("a/b", max_bytes=10)
    await storage.delete("a/b")
    assert await keys(storage) == ["a/b/c"]


async def test_get_refuses_more_than_the_caller_accepts(storage: Storage) -> None:
    await storage.put("k", b"x" * 100)
    assert len(await storage.get("k", max_bytes=100)) == 100
    with pytest.raises(StorageObjectTooLarge, match="99"):
        await storage.get("k", max_bytes=99)


async def test_a_range_is_exact_or_refused(storage: Storage) -> None:
    await storage.put("k", bytes(range(100)))
    assert await storage.get_range("k", 0, 100) == bytes(range(100))
    assert await storage.get_range("k", 10, 5) == bytes(range(10, 15))
    assert await storage.get_range("k", 99, 1) == b"c"
    assert await storage.get_range("k", 50, 0) == b""
    for offset, size in [(0, 101), (99, 2), (100, 1), (500, 10), (-1, 2), (1, -1)]:
        with pytest.raises(StorageRangeOutside):
            await storage.get_range("k", offset, size)
    assert storage.breaker_state is BreakerState.CLOSED


async def test_small_and_huge_chunks_are_joined_in_order(storage: Storage) -> None:
    data = os.urandom(2 * PART_BYTES + 12345)
    cuts = [0, 1, 2, 70_000, 70_001, PART_BYTES + 9, len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(cuts)]
    assert await storage.put_stream("k", pieces(b"", *chunks)) == len(data)
    assert await storage.get("k", max_bytes=len(data)) == data
    await storage.put("at-once", data)
    assert await storage.get("at-once", max_bytes=len(data)) == data


async def test_a_file_travels_there_and_back(storage: Storage, tmp_path: Path) -> None:
    data = os.urandom(PART_BYTES + 3)
    (tmp_path / "source").write_bytes(data)
    assert await storage.put_file("k", tmp_path / "source") == len(data)
    downloaded = await storage.download("k", tmp_path / "target")
    assert (downloaded.size, downloaded.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (tmp_path / "target").read_bytes() == data
    assert sorted(path.name for path in tmp_path.glob("*") if path.is_file()) == ["source", "target"]


async def test_an_upload_whose_source_fails_leaves_what_was_there(storage: Storage, tmp_path: Path) -> None:
    class SourceBroke(Exception):
        pass

    async def breaking() -> AsyncIterator[bytes]:
        yield os.urandom(PART_BYTES + 5)
        raise SourceBroke

    await storage.put("old", b"old")
    for key in ("old", "new"):
        with pytest.raises(SourceBroke):
            await storage.put_stream(key, breaking())
    assert await storage.get("old", max_bytes=100) == b"old"
    assert await keys(storage) == ["old"]
    assert list((tmp_path / "store/incoming").glob("*")) == []
    assert storage.breaker_state is BreakerState.CLOSED


async def test_a_cancelled_upload_leaves_what_was_there(storage: Storage) -> None:
    has_started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield os.urandom(PART_BYTES * 2)
        has_started.set()
        await asyncio.Event().wait()

    await storage.put("k", b"old")
    task = asyncio.create_task(storage.put_stream("k", endless()))
    await asyncio.wait_for(has_started.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await storage.get("k", max_bytes=100) == b"old"


async def test_concurrent_puts_of_many_keys_all_arrive(storage: Storage) -> None:
    async def put(number: int) -> None:
        data = str(number).encode() * 1000
        await storage.put(f"many/{number % 7}/{number}", data)
        assert await storage.get(f"many/{number % 7}/{number}", max_bytes=10_000) == data

    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(put(number))
    assert len(await keys(storage, "many")) == 60


async def test_concurrent_puts_of_one_key_leave_one_of_them_whole(storage: Storage) -> None:
    values = [bytes([number]) * 200_000 for number in range(8)]
    async with asyncio.TaskGroup() as group:
        for value in values:
            group.create_task(storage.put("k", value))
    assert await storage.get("k", max_bytes=MIB) in values


async def test_deleting_is_final_and_deleting_nothing_is_no_error(storage: Storage) -> None:
    await storage.put("k", b"x")
    await storage.delete("k")
    await storage.delete("k")
    await storage.delete("never/was")
    assert not await storage.exists("k")
    assert await keys(storage) == []


async def test_deleting_a_prefix_does_not_touch_its_siblings(storage: Storage) -> None:
    for key in ("a/b/1", "a/b/c/2", "a/bc", "a/b.c", "a/b-c/3", "b"):
        await storage.put(key, b"x")
    assert await storage.delete_prefix("a/b") == 2
    assert await keys(storage) == ["a/b-c/3", "a/b.c", "a/bc", "b"]
    assert await storage.delete_prefix("a/b") == 0
    for everything in ("", "/"):
        with pytest.raises(StorageKeyInvalid):
            await storage.delete_prefix(everything)


async def test_a_copy_is_an_object_of_its_own(storage: Storage) -> None:
    data = os.urandom(PART_BYTES + 1)
    await storage.put("source", data)
    await storage.put("target/deep", b"old")
    await storage.copy("source", "target/deep")
    await storage.delete("source")
    assert await storage.get("target/deep", max_bytes=len(data)) == data


@pytest.mark.parametrize("backend", [pytest.param("s3_url", marks=pytest.mark.s3_server), "moto_url"])
async def test_a_signed_url_serves_one_object_with_the_headers_asked_for(
    request: pytest.FixtureRequest, backend: str
) -> None:
    storage = open_storage(Settings(storage_url=request.getfixturevalue(backend)))
    await storage.put("k", b"0123456789")
    url = await storage.signed_url(
        "k", expires_seconds=60, content_type="text/plain", content_disposition='attachment; filename="a b.txt"'
    )
    assert url is not None
    status, headers, body = await asyncio.to_thread(_fetch, url)
    assert (status, body) == (200, b"0123456789")
    assert headers["content-type"] == "text/plain"
    assert headers["content-disposition"] == 'attachment; filename="a b.txt"'
    assert (await asyncio.to_thread(_fetch, url, "bytes=2-4"))[::2] == (206, b"234")


async def test_a_signed_url_ends_and_cannot_be_turned_to_another_object(s3_url: str) -> None:
    storage = open_storage(Settings(storage_url=s3_url))
    await storage.put("k", b"mine")
    await storage.put("other", b"secret")
    url = await storage.signed_url("k", expires_seconds=1)
    assert url is not None
    assert (await asyncio.to_thread(_fetch, url.replace("/k?", "/other?")))[0] == 403

    async def is_over() -> bool:
        return (await asyncio.to_thread(_fetch, url))[0] == 403

    await eventually(is_over, within_seconds=10, what="the signed URL has expired")


async def test_stores_without_safe_urls_give_none(memory_storage: Storage, folder_storage: Storage) -> None:
    """Azure's signed URLs allow writing and deleting for an hour, whatever was asked."""
    key = "a2V5a2V5a2V5a2V5"
    url = f"azblob://container?endpoint=http://127.0.0.1:1/account&account_name=account&account_key={key}"
    for storage in (memory_storage, folder_storage, open_storage(Settings(storage_url=url))):
        assert await storage.signed_url("k", expires_seconds=60) is None


def _fetch(url: str, byte_range: str | None = None) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers={"Range": byte_range} if byte_range else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {}, error.read()


async def test_ping_measures_a_request(storage: Storage) -> None:
    assert 0 <= await storage.ping() < 10


async def test_a_truncated_put_is_detected(stub: HttpStub) -> None:
    """A proxy cuts the body of an upload and says 200 all the same."""
    store = LyingStore()

    def cutting(request: Request) -> Answer:
        answer = store(request)
        if request.method == "PUT":
            store.objects = {key: data[:-1] for key, data in store.objects.items()}
        return answer

    stub.answer = cutting
    storage = stub.storage()
    with pytest.raises(StorageCorrupt, match="4 bytes of 'k' instead of 5"):
        await storage.put("k", b"12345")
    with pytest.raises(StorageCorrupt, match="4 bytes of 'k' instead of 5"):
        await storage.put_stream("k", pieces(b"123", b"45"))


async def test_a_put_that_was_not_kept_is_detected(stub: HttpStub) -> None:
    stub.answer = lambda request: Answer(200 if request.method == "PUT" else 404)
    with pytest.raises(StorageCorrupt, match="does not have it"):
        await stub.storage().put("k", b"12345")


async def test_a_body_cut_on_its_way_is_never_taken_for_the_object(stub: HttpStub, tmp_path: Path) -> None:
    stub.answer = lambda _: Answer(200, b"x" * 500, declared_bytes=1000)
    with pytest.raises(StorageUnavailable):
        await stub.storage().get("k", max_bytes=10_000)
    with pytest.raises(StorageUnavailable):
        await stub.storage().download("k", tmp_path / "file")
    with pytest.raises(StorageUnavailable):
        await stub.storage().get_range("k", 0, 1000)
    assert list(tmp_path.iterdir()) == []


async def test_a_whole_object_instead_of_a_range_is_refused(stub: HttpStub) -> None:
    store = LyingStore(lambda request, answer: Answer(200, b"0123456789") if request.method == "GET" else answer)
    store.objects["k"] = b"0123456789"
    stub.answer = store
    with pytest.raises(StorageCorrupt):
        await stub.storage().get_range("k", 2, 3)


async def test_a_store_that_went_away_fails_at_once_and_is_back_soon_after_it_is(
    s3_url: str, s3_server: S3Server
) -> None:
    storage = open_storage(Settings(storage_url=s3_url, storage_deadline_seconds=5))
    await storage.put("k", b"x")
    s3_server.process.stop()
    try:
        ends = await asyncio.gather(*(storage.get("k", max_bytes=10) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(end, StorageUnavailable) for end in ends)
        assert storage.breaker_state is BreakerState.OPEN
        asked = storage.counters.calls["get"]
        with pytest.raises(StorageUnavailable, match="left alone"):
            await storage.get("k", max_bytes=10)
        assert storage.counters.calls["get"] == asked
        assert storage.counters.rejections["get"] == 1
    finally:
        s3_server.process.start()

    async def is_back() -> bool:
        try:
            return await storage.get("k", max_bytes=10) == b"x"
        except StorageUnavailable:
            return False

    await eventually(is_back, within_seconds=10, what="the store serves again")
    assert storage.breaker_state.value == "closed"


async def test_objects_outlive_the_process_that_wrote_them(tmp_path: Path) -> None:
    settings = Settings(storage_url=f"file://{tmp_path / 'store'}")
    await open_storage(settings).put("a/k", b"x")
    assert await open_storage(settings).get("a/k", max_bytes=1) == b"x"


async def test_a_prefix_divides_a_bucket(s3_server: S3Server) -> None:
    bucket = s3_server.create_bucket()
    one, two = (
        open_storage(Settings(storage_url=s3_server.storage_url(bucket, prefix=p))) for p in ("one", "two/deep")
    )
    await one.put("k", b"1")
    await two.put("k", b"2")
    assert (await one.get("k", max_bytes=1), await two.get("k", max_bytes=1)) == (b"1", b"2")
    assert await keys(one) == ["k"]
    assert await two.delete_prefix("k") == 0
    assert await keys(open_storage(Settings(storage_url=s3_server.storage_url(bucket)))) == ["one/k", "two/deep/k"]


@pytest.fixture
def second(tmp_path: Path) -> Storage:
    """Another store, in a folder."""
    return open_storage(Settings(storage_url=f"file://{tmp_path / 'second'}"))


@pytest.fixture
def both(storage: Storage, second: Storage) -> Storage:
    """A store of every kind that falls back to the second one."""
    storage.fallback = second
    return storage


async def test_what_only_the_fallback_has_is_read_from_it(both: Storage, second: Storage, tmp_path: Path) -> None:
    data = os.urandom(MIB + 5)
    await second.put("packs/old", data)
    assert await both.get("packs/old", max_bytes=len(data)) == data
    assert await both.get_range("packs/old", 3, 10) == data[3:13]
    assert b"".join([piece async for piece in both.stream("packs/old", offset=7)]) == data[7:]
    assert (await both.download("packs/old", tmp_path / "file")).size == len(data)
    assert (await both.stat("packs/old")).size == len(data)
    assert await both.exists("packs/old")
    await both.copy("packs/old", "packs/new")
    assert await keys(both) == ["packs/new"]


async def test_the_first_store_comes_first_and_the_fallback_is_never_changed(both: Storage, second: Storage) -> None:
    await second.put("k", b"of the second")
    await both.put("k", b"of the first")
    assert await both.get("k", max_bytes=100) == b"of the first"
    await both.delete("k")
    assert await second.get("k", max_bytes=100) == b"of the second"
    assert await keys(second) == ["k"]
    await second.put("empty", b"")
    assert [piece async for piece in both.stream("empty")] == []


async def test_what_neither_store_has_is_not_found(both: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageNotFound):
        await both.get("k", max_bytes=10)
    with pytest.raises(StorageNotFound):
        await anext(both.stream("k"))
    with pytest.raises(StorageNotFound):
        await both.copy("k", "other")
    assert not await both.exists("k")


async def test_reads_go_on_while_the_first_store_is_down(stub: HttpStub, second: Storage) -> None:
    first = stub.storage()
    first.fallback = second
    await second.put("k", b"kept twice")
    assert await first.get("k", max_bytes=100) == b"kept twice"
    assert [piece async for piece in first.stream("k")] == [b"kept twice"]
    with pytest.raises(StorageUnavailable):  # not "absent": the store that is down may have it
        await first.get("unknown", max_bytes=100)
    with pytest.raises(StorageUnavailable):
        await first.put("k", b"new")


async def test_a_fallback_is_configured_by_its_own_address(tmp_path: Path) -> None:
    second = open_storage(Settings(storage_url=f"file://{tmp_path / 'two'}"))
    await second.put("k", b"moved")
    settings = Settings(storage_url=f"file://{tmp_path / 'one'}", storage_fallback_url=f"file://{tmp_path / 'two'}")
    assert await open_storage(settings).get("k", max_bytes=10) == b"moved"
    with pytest.raises(StorageMisconfigured, match="CAIRN_STORAGE_FALLBACK_URL"):
        open_storage(Settings(storage_fallback_url="ftp://nowhere"))
