from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.web.support import ORIGIN, Running, open_app

from cairn.access.actions import Action
from cairn.web.api import (
    ApiAnswer,
    Page,
    PageRequest,
    api_time,
    etag_matches,
    http_date,
    media_format,
    read_page,
)
from cairn.web.context import RequestContext
from cairn.web.routing import PUBLIC, api

CHANGED = datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


class Label(msgspec.Struct):
    name: str
    color: str = "fff"


@api.get("/api/v3/numbers", action=PUBLIC, resource="none")
async def numbers(context: RequestContext, total: int = 95) -> Page[int]:
    asked = read_page(context)
    return Page(range(asked.offset, min(asked.offset + asked.per_page, total)), asked, total=total)


@api.get("/api/v3/stream", action=PUBLIC, resource="none")
async def uncounted(context: RequestContext) -> Page[int]:
    return Page([1], read_page(context), has_next=True, body={"total_count": 1, "items": [1]})


@api.post("/api/v3/labels", action=PUBLIC, resource="none")
async def add_label(body: Label) -> Label:
    return body


@api.post("/api/v3/run", action=PUBLIC, resource="none", status=202)
async def run() -> None:
    return None


@api.delete("/api/v3/labels/{name:str}", action=PUBLIC, resource="none")
async def remove(name: str) -> None:
    assert name


@api.get("/api/v3/one", action=Action.ACCOUNT_READ_PRIVATE, resource="none")
async def one() -> ApiAnswer:
    return ApiAnswer({"id": 1}, headers={"Last-Modified": http_date(CHANGED)})


HANDLERS = [numbers, uncounted, add_label, run, remove, one]


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path, HANDLERS) as app:
        yield app


async def test_every_answer_has_githubs_headers(running: Running) -> None:
    for path in ("/api/v3/numbers", "/api/v3/nothing"):
        headers = (await running.client().get(path)).headers
        assert headers["x-github-enterprise-version"] == "3.19.0"
        assert headers["x-github-media-type"] == "github.v3; format=json"
        assert headers["x-github-api-version-selected"] == "2022-11-28"
        assert headers["access-control-allow-origin"] == "*"
        assert "Link" in headers["access-control-expose-headers"]
        assert {"Accept", "Authorization"} <= set(headers["vary"].split(", "))
        assert headers["content-type"] == "application/json; charset=utf-8"
        assert "x-oauth-scopes" not in headers


async def test_a_token_is_told_its_scopes_and_those_wanted(running: Running) -> None:
    headers = (await running.client(authorization="token repo,gist").get("/api/v3/one")).headers
    assert headers["x-oauth-scopes"] == "gist, repo"
    assert headers["x-accepted-oauth-scopes"] == "read:user, user"
    assert (await running.client(authorization="token ").get("/api/v3/one")).headers["x-oauth-scopes"] == ""


async def test_pages_link_to_each_other_by_the_external_address(running: Running) -> None:
    answer = await running.client(host="other.test").get("/api/v3/numbers?per_page=10&page=2&state=all&total=95")
    assert answer.json() == list(range(10, 20))
    base = f"{ORIGIN}/api/v3/numbers?per_page=10&state=all&total=95&page="
    assert answer.headers["link"] == (
        f'<{base}1>; rel="prev", <{base}3>; rel="next", <{base}10>; rel="last", <{base}1>; rel="first"'
    )
    first = (await running.client().get("/api/v3/numbers")).headers["link"]
    assert first == f'<{ORIGIN}/api/v3/numbers?page=2>; rel="next", <{ORIGIN}/api/v3/numbers?page=4>; rel="last"'
    last = (await running.client().get("/api/v3/numbers?page=4")).headers["link"]
    assert 'rel="next"' not in last
    assert "link" not in (await running.client().get("/api/v3/numbers?per_page=100")).headers
    wrapped = await running.client().get("/api/v3/stream")
    assert wrapped.json() == {"total_count": 1, "items": [1]}
    assert wrapped.headers["link"] == f'<{ORIGIN}/api/v3/stream?page=2>; rel="next"'


@pytest.mark.parametrize(
    ("query", "page", "per_page"),
    [("", 1, 30), ("page=0&per_page=0", 1, 30), ("page=-1&per_page=x", 1, 30), ("page=3&per_page=1000", 3, 100),
     ("page=9999999999999999&per_page=7", 1, 7), ("page=²", 1, 30)],
)  # fmt: skip
async def test_page_numbers_are_clamped_silently(running: Running, query: str, page: int, per_page: int) -> None:
    answer = await running.client().get(f"/api/v3/numbers?{query}")
    assert answer.status_code == 200
    asked = PageRequest(page, per_page)
    assert answer.json() == list(range(asked.offset, min(asked.offset + per_page, 95)))


async def test_an_unchanged_answer_is_304_and_free(running: Running) -> None:
    client = running.client(authorization="token repo")
    first = await client.get("/api/v3/numbers")
    assert first.headers["etag"].startswith('W/"')
    again = await client.get("/api/v3/numbers", headers={"if-none-match": f'"x", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    assert "content-type" not in again.headers
    changed = await client.get("/api/v3/numbers?total=5", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200


async def test_an_etag_depends_on_caller_and_media_type(running: Running) -> None:
    etags = [
        (await client.get("/api/v3/numbers", headers={"accept": accept})).headers["etag"]
        for client in (running.client(), running.client(authorization="token repo"))
        for accept in ("*/*", "application/vnd.github.raw")
    ]
    assert len(set(etags)) == 4


async def test_last_modified_is_compared(running: Running) -> None:
    client = running.client()
    for since, status in ((CHANGED, 304), (CHANGED - timedelta(seconds=1), 200), (CHANGED + timedelta(days=1), 304)):
        answer = await client.get("/api/v3/one", headers={"if-modified-since": http_date(since)})
        assert answer.status_code == status
    assert (await client.get("/api/v3/one", headers={"if-modified-since": "yesterday"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "Problems parsing JSON"),
        (b'{"name": "\xff"}', 400, "Problems parsing JSON"),
        (b'{"x": ' + b"[" * 100_000, 400, "Problems parsing JSON"),
        (b"[]", 400, "Body should be a JSON object"),
        (b'"x"', 400, "Body should be a JSON object"),
        (b"{}", 422, 'Invalid request.\n\n"name" wasn\'t supplied.'),
        (b"", 422, 'Invalid request.\n\n"name" wasn\'t supplied.'),
        (b'{"name": 5}', 422, "Invalid request.\n\nname: Expected `str`, got `int`"),
    ],
)
async def test_a_body_that_cannot_be_used_is_told(running: Running, body: bytes, status: int, message: str) -> None:
    answer = await running.client().post("/api/v3/labels", content=body)
    assert (answer.status_code, answer.json()["message"]) == (status, message)


async def test_a_body_is_read_whatever_its_media_type_says(running: Running) -> None:
    for kind in ("application/json", "application/vnd.github+json", "application/x-www-form-urlencoded", "text/plain"):
        content = b'{"name": "bug", "unknown": 1}'
        answer = await running.client().post("/api/v3/labels", content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()) == (201, {"name": "bug", "color": "fff"})


async def test_accepted_has_a_body_and_no_content_has_none(running: Running) -> None:
    accepted = await running.client().post("/api/v3/run")
    assert (accepted.status_code, accepted.content) == (202, b"{}")
    gone = await running.client().delete("/api/v3/labels/x")
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-type" not in gone.headers


async def test_an_unknown_api_version_is_refused(running: Running) -> None:
    answer = await running.client(**{"x-github-api-version": "1999-01-01"}).get("/api/v3/numbers")
    assert (answer.status_code, "2022-11-28" in answer.json()["message"]) == (400, True)
    assert (await running.client(**{"x-github-api-version": "2022-11-28"}).get("/api/v3/numbers")).status_code == 200


async def test_a_browser_elsewhere_may_ask_beforehand(running: Running) -> None:
    answer = await running.client(origin="https://app.test").options("/api/v3/labels")
    assert answer.status_code == 204
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "json"), ("*/*", "json"), ("application/json", "json"), ("application/vnd.github+json", "json"),
        ("application/vnd.github.v3+json", "json"), ("application/vnd.github.v3.raw", "raw"),
        ("application/vnd.github.raw+json", "raw"), ("application/vnd.github.v3.diff", "diff"),
        ("application/vnd.github.patch, */*", "patch"), ("application/vnd.github.luke-cage-preview+json", "json"),
        ("application/octet-stream", "octet-stream"), ("text/html", "json"), (";;,,", "json"),
    ],
)  # fmt: skip
def test_any_media_type_is_understood(accept: str, wanted: str) -> None:
    assert media_format(accept) == wanted


def test_times_have_no_fraction_and_are_utc() -> None:
    assert api_time(CHANGED) == "2024-01-02T03:04:05Z"
    assert api_time(CHANGED.astimezone(timezone(timedelta(hours=2)))) == "2024-01-02T03:04:05Z"
    assert api_time(None) is None


def test_etags_compare_weakly() -> None:
    assert etag_matches('"a", W/"b"', '"b"')
    assert etag_matches("*", 'W/"x"')
    assert not etag_matches('"ab"', '"a"')
