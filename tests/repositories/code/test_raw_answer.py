"""Raw bytes: few from memory, many piece by piece, and HEAD without reading them."""

import random

import pytest
from tests.factories.forge import Forge

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
