"""The start-up check passes every store that behaves and names what a misbehaving one does wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.storage.http_stub import Answer, HttpStub, LyingStore, Request

from cairn.storage.errors import StorageMisconfigured, StorageUnavailable
from cairn.storage.storage import Storage

Lie = Callable[[Request, Answer], Answer]


async def test_a_store_that_behaves_passes_and_keeps_nothing(storage: Storage) -> None:
    await storage.self_test()
    assert [found.key async for found in storage.list()] == []


async def test_the_stub_without_lies_passes_with_few_requests(stub: HttpStub) -> None:
    stub.answer = LyingStore()
    await stub.storage().self_test()
    assert len(stub.requests) == 20


def wrong_bytes(request: Request, answer: Answer) -> Answer:
    if request.method != "GET" or "list-type" in request.path or not answer.body:
        return answer
    return replace(answer, body=b"?" + answer.body[1:])


def no_range(request: Request, answer: Answer) -> Answer:
    return replace(answer, body=b"?" * len(answer.body)) if answer.status == 206 else answer


def empty_list(request: Request, answer: Answer) -> Answer:
    if "list-type" not in request.path:
        return answer
    return Answer(body=b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")


def list_without_sizes(request: Request, answer: Answer) -> Answer:
    return replace(answer, body=answer.body.replace(b"<Size>", b"<Size>1")) if "list-type" in request.path else answer


def refuses_parts(request: Request, answer: Answer) -> Answer:
    return Answer(400) if request.method == "POST" else answer


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        (wrong_bytes, "a new object reads back as it was written"),
        (no_range, "a range has exactly the bytes that were asked for"),
        (empty_list, "a list has every object just written"),
        (list_without_sizes, "a list has every object just written, with its size"),
        (refuses_parts, "keeps an object sent in parts"),
    ],
)
async def test_a_store_that_lies_is_refused_with_the_behaviour_it_lacks(
    stub: HttpStub, lie: Lie, sentence: str
) -> None:
    stub.answer = LyingStore(lie)
    with pytest.raises(StorageMisconfigured) as raised:
        await stub.storage().self_test()
    assert sentence in raised.value.message


async def test_a_store_that_serves_old_values_is_refused(stub: HttpStub) -> None:
    store, first = LyingStore(), dict[str, bytes]()

    def stale(request: Request) -> Answer:
        answer = store(request)
        if request.method == "PUT":
            for key, data in store.objects.items():
                first.setdefault(key, data)
        is_read = request.method == "GET" and "list-type" not in request.path
        key = request.path.partition("?")[0].removeprefix("/bucket/")
        return Answer(200, first[key]) if is_read and key in first and "range" not in request.headers else answer

    stub.answer = stale
    with pytest.raises(StorageMisconfigured, match="a replaced object reads back"):
        await stub.storage().self_test()


async def test_a_store_that_does_not_delete_is_refused(stub: HttpStub) -> None:
    store = LyingStore()
    stub.answer = lambda request: Answer(204) if request.method == "DELETE" else store(request)
    with pytest.raises(StorageMisconfigured, match="a deleted object is gone"):
        await stub.storage().self_test()


async def test_a_store_that_is_away_is_away_and_not_misbehaving(stub: HttpStub) -> None:
    stub.answer = lambda _: Answer(503)
    with pytest.raises(StorageUnavailable):
        await stub.storage().self_test()
