"""A file to keep: its name, its versions, one range of it, and nothing that a browser runs."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
from litestar import Response
from litestar.response import Stream
from tests.web.support import open_app

from cairn.storage.errors import StorageNotFound, StorageUnavailable
from cairn.web.context import RequestContext
from cairn.web.downloads import answer_file, attachment
from cairn.web.routing import PUBLIC, page
from cairn.web.security import CLOSED_POLICY

DATA = b"<script>alert(1)</script>" * 4
SIZE = len(DATA)


@page.get("/file", action=PUBLIC, resource="none")
async def file(context: RequestContext) -> Response[bytes] | Stream:
    """Answer a stranger's HTML."""

    async def read(start: int, end: int) -> AsyncGenerator[bytes, None]:
        yield DATA[start:end]

    return await answer_file(context, SIZE, read, etag='"one"', media_type="text/html", headers={})


@page.get("/away", action=PUBLIC, resource="none")
async def away(context: RequestContext) -> Response[bytes] | Stream:
    """Answer what the object store has lost, or does not give now."""
    error = StorageNotFound if context.request.headers["error"] == "lost" else StorageUnavailable

    async def read(start: int, end: int) -> AsyncGenerator[bytes, None]:
        for _ in range(start, end):
            raise error("assets/secret-key")
        yield b""

    return await answer_file(context, SIZE, read, etag='"one"', media_type="text/html", headers={})


async def ask(folder: Path, method: str = "GET", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with open_app(folder, [file]) as running:
        return await running.client().request(method, "/file", headers=named)


@pytest.mark.parametrize(("error", "status"), [("lost", 404), ("silent", 503)])
async def test_what_cannot_be_read_is_refused_and_not_broken_off(tmp_path: Path, error: str, status: int) -> None:
    async with open_app(tmp_path, [away]) as running:
        answer = await running.client().get("/away", headers={"error": error})
    assert answer.status_code == status
    assert "etag" not in answer.headers
    assert ("lost the bytes" in answer.text) == (error == "lost")


@pytest.mark.parametrize("asked", [{}, {"range": "bytes=0-3"}, {"range": "bytes=1000-"}], ids=["all", "part", "none"])
async def test_a_strangers_html_is_never_a_page_of_ours(tmp_path: Path, asked: dict[str, str]) -> None:
    answer = await ask(tmp_path, **asked)
    assert answer.headers.get_list("content-security-policy") == [CLOSED_POLICY]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=90-", 90, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        ("bytes=-5000", 0, SIZE),
        ("bytes=5-5000", 5, SIZE),
    ],
)
async def test_one_range_is_answered_alone(tmp_path: Path, asked: str, start: int, end: int) -> None:
    answer = await ask(tmp_path, range=asked)
    assert (answer.status_code, answer.content) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize(
    "asked",
    [
        {"range": "bytes=0-1,5-6"},
        {"range": "bytes=9-2"},
        {"range": "bytes=-"},
        {"range": "lines=0-1"},
        {"range": "bytes=0-1", "if_range": '"another"'},
    ],
    ids=["several", "backwards", "empty", "unit", "another version"],
)
async def test_anything_else_is_the_whole_file(tmp_path: Path, asked: dict[str, str]) -> None:
    answer = await ask(tmp_path, **asked)
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0"])
async def test_a_range_beyond_the_file_is_refused_with_its_size(tmp_path: Path, asked: str) -> None:
    answer = await ask(tmp_path, range=asked)
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


async def test_a_known_version_is_not_sent_and_head_tells_the_size(tmp_path: Path) -> None:
    known = await ask(tmp_path, if_none_match='"zero", W/"one"')
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", '"one"')
    assert (await ask(tmp_path, if_none_match='"zero"')).content == DATA
    head = await ask(tmp_path, "HEAD", range="bytes=0-1")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(SIZE))


@pytest.mark.parametrize(
    ("name", "plain", "exact"),
    [
        ("tool-1.0.tar.gz", "tool-1.0.tar.gz", "tool-1.0.tar.gz"),
        ('a"b;c.zip', "a_b_c.zip", "a%22b%3Bc.zip"),
        ("Mühle.zip", "M_hle.zip", "M%C3%BChle.zip"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x", "a%0D%0ASet-Cookie%3A%20x"),
    ],
    ids=["plain", "quotes", "letters", "lines"],
)
def test_a_name_leaves_its_quotes_for_no_client(name: str, plain: str, exact: str) -> None:
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
