"""Raw bytes: few from memory, many piece by piece, and HEAD without reading them."""

import random
from collections.abc import AsyncIterator

import pytest
from tests.factories.forge import Forge

from cairn.git.places import GitBusy
from cairn.repositories.code import raw_answer
from cairn.repositories.code.raw_answer import WHOLE_BYTES_MAX

LARGE = random.Random(3).randbytes(3 * WHOLE_BYTES_MAX)


@pytest.fixture
async def addresses(forge: Forge) -> list[tuple[str, dict[str, str]]]:
    """Every way to a large file's bytes: page, contents and blob."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"large.bin": LARGE, "small.txt": b"few\n"})
    state = await forge.engine.state(repository.store_id)
    api = forge.api()
    listing = (await api.get("/repos/ada/engine/contents")).json()
    oid = next(entry["sha"] for entry in listing if entry["name"] == "large.bin")
    assert state.ref_version == 1
    raw = {"accept": "application/vnd.github.raw"}
    return [
        ("/ada/engine/raw/main/large.bin", {}),
        ("/api/v3/repos/ada/engine/contents/large.bin", raw),
        (f"/api/v3/repos/ada/engine/git/blobs/{oid}", raw),
    ]


async def test_a_large_file_arrives_whole_by_every_way_first_and_again(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]]
) -> None:
    for path, headers in [*addresses, *addresses]:
        answer = await forge.browser().get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(LARGE)))
        assert answer.content == LARGE


async def test_a_large_file_is_never_read_into_memory_as_a_whole(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a dozen slow readers of a file of 100 MB held a gigabyte of the web program's memory."""

    def refuse(*_: object) -> bytes:
        raise AssertionError("a large blob was read at once")

    monkeypatch.setattr("cairn.repositories.code.browse.Code.blob", refuse)
    for path, headers in addresses:
        assert (await forge.browser().get(path, headers=headers)).content == LARGE


async def test_head_tells_the_size_and_unpacks_nothing(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise AssertionError("HEAD unpacked the file")

    monkeypatch.setattr("cairn.repositories.code.browse.Code.blob_chunks", refuse)
    for path, headers in addresses:
        answer = await forge.browser().client.head(path, headers=headers)
        assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(len(LARGE)), b"")


async def test_a_file_beyond_the_limit_is_refused_with_the_way_out(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_answer, "RAW_BYTES_MAX", 2 * WHOLE_BYTES_MAX)
    for path, headers in addresses:
        answer = await forge.browser().get(path, headers=headers)
        assert answer.status_code == 413
        assert "clone to get it" in answer.text


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, len(LARGE)),
        ("bytes=-7", len(LARGE) - 7, len(LARGE)),
        (f"bytes=10-{10**14}", 10, len(LARGE)),
        (f"bytes=-{10**14}", 0, len(LARGE)),
    ],
)
async def test_a_range_is_answered_as_players_ask_for_it(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]], asked: str, start: int, end: int
) -> None:
    for path, headers in addresses:
        answer = await forge.browser().get(path, headers={**headers, "range": asked})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(LARGE)}"
        assert answer.headers["content-length"] == str(end - start)
        assert answer.content == LARGE[start:end]


async def test_a_range_of_a_small_file_and_what_is_no_range(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]]
) -> None:
    path = "/ada/engine/raw/main/small.txt"
    whole = await forge.browser().get(path)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    etag = whole.headers["etag"]
    expected = {
        "bytes=1-2": (206, whole.content[1:3]),
        "bytes=1-2,3-4": (200, whole.content),
        "bytes=2-1": (200, whole.content),
        "bytes=-": (200, whole.content),
        "lines=1-2": (200, whole.content),
        f"bytes={len(whole.content)}-": (416, b""),
        "bytes=-0": (416, b""),
    }
    for asked, (status, content) in expected.items():
        answer = await forge.browser().get(path, headers={"range": asked})
        assert (asked, answer.status_code, answer.content) == (asked, status, content)
    for validator, status in ((etag, 206), ('"another"', 200)):
        answer = await forge.browser().get(path, headers={"range": "bytes=0-0", "if-range": validator})
        assert answer.status_code == status
    head = await forge.browser().client.head(path, headers={"range": "bytes=0-0"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))


async def test_what_cannot_be_had_is_refused_before_anything_is_sent(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that breaks off after its headers says nothing; a client takes it for a lost connection."""

    async def wait_for_a_place() -> bytes:
        raise GitBusy("The server is busy.", retry_after_seconds=7)

    async def refuse(*_: object, **__: object) -> AsyncIterator[bytes]:
        yield await wait_for_a_place()

    monkeypatch.setattr("cairn.repositories.code.browse.Code.blob_chunks", refuse)
    for path, headers in addresses:
        answer = await forge.browser().get(path, headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_who_has_the_file_hears_that_it_did_not_change(
    forge: Forge, addresses: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = addresses[0][0]
    etag = (await forge.browser().client.head(path)).headers["etag"]

    def refuse(*_: object) -> bytes:
        raise AssertionError("read for nothing")

    monkeypatch.setattr("cairn.repositories.code.browse.Code.blob_chunks", refuse)
    answer = await forge.browser().get(path, headers={"if-none-match": etag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
