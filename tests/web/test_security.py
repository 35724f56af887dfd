import asyncio
import gc
import re
import weakref
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest
from litestar import Response
from tests.web.support import Running, csrf_token_of, open_app, user

from cairn.base.errors import TooLarge
from cairn.web.asgi import Message
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import read_form
from cairn.web.pages import AppearanceForm
from cairn.web.routing import PUBLIC, api, declared_routes, page
from cairn.web.security import CLOSED_POLICY, BodyTooSlow, Proxies, limit_body, plain_bound


@page.get("/where", action=PUBLIC, resource="none")
async def where(context: RequestContext) -> Response[str]:
    scheme = context.request.scope["scheme"]
    return Response(f"{context.client_address} {scheme}")


@page.post("/form", action=PUBLIC, resource="none")
async def form(request: WebRequest) -> Response[str]:
    await read_form(request, AppearanceForm)
    return Response("read")


@api.put("/api/v3/blobs/{name:str}", action=PUBLIC, resource="none", max_body_bytes=100)
async def put_blob(name: str, request: WebRequest) -> dict[str, int]:
    return {"bytes": len(await request.body()) + len(name) * 0}


@api.post(
    "/api/v3/films/{name:str}", action=PUBLIC, resource="none", status=200, max_body_bytes=6 << 20, streams_body=True
)
async def send_film(name: str, request: WebRequest) -> dict[str, int]:
    return {"bytes": len(await request.body()) + len(name) * 0}


@page.post("/pictures", action=PUBLIC, resource="none", max_body_bytes=6 << 20)
async def send_picture() -> Response[str]:
    return Response("sent")


@api.put(
    "/api/v3/reels/{name:str}", action=PUBLIC, resource="none", max_body_bytes=lambda settings: settings.max_file_bytes
)
async def put_reel(name: str, request: WebRequest) -> dict[str, int]:
    return {"bytes": len(await request.body()) + len(name) * 0}


@api.delete("/api/v3/blobs/{name:str}", action=PUBLIC, resource="none")
async def delete_blob(name: str) -> None:
    assert name


@page.get("/kept", action=PUBLIC, resource="none")
async def kept() -> Response[str]:
    return Response("<p>", media_type="text/html", headers={"Content-Disposition": "attachment"})


HANDLERS = [where, form, put_blob, put_reel, delete_blob, kept]


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path, HANDLERS, settings={"max_body_bytes": 4 << 20, "max_file_bytes": 3 << 20}) as app:
        yield app


async def test_html_that_is_sent_to_be_kept_has_no_pages_policy(running: Running) -> None:
    answer = await running.client().get("/kept")
    assert answer.headers["content-security-policy"] == CLOSED_POLICY


async def test_pages_carry_a_policy_with_a_fresh_nonce(running: Running) -> None:
    first, second = [await running.browser().get("/-/components") for _ in range(2)]
    policies = [answer.headers["content-security-policy"] for answer in (first, second)]
    nonces = [re.findall(r"'nonce-([^']+)'", policy)[0] for policy in policies]
    assert nonces[0] != nonces[1]
    assert f'nonce="{nonces[0]}"' in first.text
    assert "unsafe" not in policies[0]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policies[0]
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["referrer-policy"] == "same-origin"
    assert first.headers["cross-origin-opener-policy"] == "same-origin"
    assert first.headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in first.headers["permissions-policy"]
    assert "strict-transport-security" not in first.headers
    assert "access-control-allow-origin" not in first.headers


async def test_pages_have_no_inline_style_or_handler(running: Running) -> None:
    for path in ("/-/components", "/-/appearance", "/nothing/here/at/all"):
        text = (await running.browser(user(1, "ada")).get(path)).text
        assert not re.search(r"<[^>]+\s(style|on\w+)=", text)
        assert all("nonce=" in tag for tag in re.findall(r"<script[^>]*>", text))


async def test_everything_else_may_do_nothing_in_a_browser(running: Running) -> None:
    for path in ("/where", "/api/v3/nothing", running.app.site.renderer.static_url("app.css")):
        assert (await running.client().get(path)).headers["content-security-policy"] == CLOSED_POLICY


async def test_no_cache_on_the_way_keeps_an_answer_that_does_not_allow_it(running: Running) -> None:
    """Attack: ask a shared proxy for the address of a raw private file that its owner has just opened through it."""
    for path in ("/where", "/api/v3/nothing", "/-/static/nothing.css", "/nothing/here"):
        assert (await running.client().get(path)).headers.get_list("cache-control") == ["private, no-cache"]


async def test_https_sites_send_hsts_and_secure_cookies(tmp_path: Path) -> None:
    async with open_app(tmp_path, HANDLERS, settings={"external_url": "https://cairn.test"}) as running:
        answer = await running.browser().get("/-/appearance")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-cairn_csrf=")
        assert all(part in cookie for part in ("; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"))


async def test_every_answer_has_its_own_request_id(running: Running) -> None:
    seen = set()
    for path in ("/where", "/nothing/here/x/y", "/api/v3/nothing", "/-/static/nothing.css", "/favicon.ico"):
        answer = await running.client(**{"x-request-id": "chosen-by-the-client"}).get(path)
        assert answer.headers["x-request-id"] == answer.headers["x-github-request-id"]
        seen.add(answer.headers["x-request-id"])
    assert len(seen) == 5
    assert "chosen-by-the-client" not in seen


async def test_forwarded_addresses_are_believed_from_listed_peers_only(tmp_path: Path) -> None:
    """Anyone can send X-Forwarded-For; it counts only when the connection comes from the operator's proxy."""
    forged = {"x-forwarded-for": "203.0.113.9, 198.51.100.1, 192.0.2.8", "x-forwarded-proto": "https"}
    async with open_app(tmp_path, HANDLERS) as running:
        assert (await running.client(**forged).get("/where")).text == "192.0.2.7 http"
    trusted = {"trusted_proxies": ("192.0.2.0/24",)}
    async with open_app(tmp_path, HANDLERS, settings=trusted) as running:
        assert (await running.client(**forged).get("/where")).text == "198.51.100.1 https"
        assert (await running.client(**{"x-forwarded-for": "x; DROP"}).get("/where")).text == "192.0.2.7 http"


def test_mapped_addresses_match_their_network() -> None:
    proxies = Proxies(("10.0.0.0/8",))
    assert proxies.trusts("::ffff:10.1.2.3")
    assert not proxies.trusts("unix:")
    assert proxies.client_of("10.0.0.1", "10.0.0.9, 10.0.0.2") == "10.0.0.9"


async def test_every_writing_route_refuses_a_body_over_its_limit(running: Running) -> None:
    """Generated over all routes: declared and undeclared (chunked) lengths end in 413 with the limit's name."""
    chunk = b"x" * (1 << 20)
    pulled = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(100):
            pulled += len(chunk)
            yield chunk

    tried = 0
    for route in declared_routes(running.app.litestar):
        if route.method in {"GET", "HEAD"}:
            continue
        path = re.sub(r"\{\w+\}", "x", re.sub(r"\{\w+_id\}", "1", route.path))
        for content in (chunk * 5, endless()):
            pulled = 0
            answer = await running.client(authorization="token repo").request(route.method, path, content=content)
            assert answer.status_code == 413, (route.method, path)
            text = answer.text.replace("&#39;", "'")
            assert "CAIRN_MAX_BODY_BYTES" in text or "own limit" in text
            assert pulled <= 6 << 20
            tried += 1
    assert tried >= 8


async def test_a_routes_own_limit_holds(running: Running) -> None:
    client = running.client(authorization="token repo")
    assert (await client.put("/api/v3/blobs/a", content=b"x" * 100)).json() == {"bytes": 100}
    assert (await client.put("/api/v3/blobs/a", content=b"x" * 101)).status_code == 413


async def test_what_is_larger_than_usual_is_taken_only_from_who_is_signed_in(tmp_path: Path) -> None:
    """Attack: somebody without an account sends large files to a route that takes some, to fill the node's disk."""
    large = b"x" * (5 << 20)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * (1 << 20)

    async with open_app(tmp_path, [send_film, send_picture], settings={"max_body_bytes": 4 << 20}) as app:
        signed_in, stranger = app.client(authorization="token repo"), app.client()
        assert (await signed_in.post("/api/v3/films/a", content=large)).status_code == 200
        refused = await stranger.post("/api/v3/films/a", content=large)
        assert (refused.status_code, refused.json()["message"]) == (401, "Sign in to send something this large.")
        for content in (large, chunks()):
            ended = await app.client().post("/pictures", content=content)
            assert ended.status_code == 401, "a session that ended"
            assert "/login?next=/pictures" in ended.text
        assert (await signed_in.post("/api/v3/films/a", content=large * 2)).status_code == 413
        assert (await stranger.post("/api/v3/films/a", content=b"x" * 100)).status_code == 200


async def test_only_what_is_not_kept_in_memory_may_be_larger_than_usual(tmp_path: Path) -> None:
    """Attack: somebody signed in sends the files of a form as one large body, to fill the node's memory."""
    async with open_app(tmp_path, [send_picture], settings={"max_body_bytes": 4 << 20}) as app:
        browser = app.browser(user(1, "ada"))
        fields = {"csrf_token": csrf_token_of((await browser.get("/-/appearance")).text)}
        large = b"x" * (5 << 20)
        held = await browser.client.post("/pictures", content=large)
        assert (held.status_code, "CAIRN_MAX_BODY_BYTES" in held.text) == (413, True)
        sent = await browser.client.post("/pictures", data=fields, files={"file": ("a.png", large)})
        assert (sent.status_code, sent.text) == (200, "sent")
        beyond = await browser.client.post("/pictures", data=fields, files={"file": ("a.png", large + large)})
        assert (beyond.status_code, "own limit" in beyond.text) == (413, True)


async def test_a_limit_may_follow_a_setting(running: Running) -> None:
    client = running.client(authorization="token repo")
    assert (await client.put("/api/v3/reels/a", content=b"x" * (3 << 20))).status_code == 200
    assert (await client.put("/api/v3/reels/a", content=b"x" * ((3 << 20) + 1))).status_code == 413


async def test_a_slow_body_is_cut_off() -> None:
    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    limited = limit_body(silent, bound=plain_bound(10, "X"), grace_seconds=0.05)
    with pytest.raises(BodyTooSlow, match="CAIRN_BODY_DEADLINE_SECONDS"):
        async with asyncio.timeout(5):
            await limited()


async def test_a_stalled_body_ends_the_request_at_its_deadline(tmp_path: Path) -> None:
    """A client sends a few bytes and then nothing, to hold a connection and a worker for ever."""

    async def stalling() -> AsyncIterator[bytes]:
        yield b"theme=da"
        await asyncio.Event().wait()

    async with open_app(tmp_path, HANDLERS, settings={"body_deadline_seconds": 0}) as running:
        async with asyncio.timeout(10):
            answer = await running.client().post("/form", content=stalling())
    assert answer.status_code == 408


class Ends:
    """A server's two ends of a request whose client says nothing more."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def receive(self) -> Awaitable[Message]:
        return asyncio.get_running_loop().create_future()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


async def test_nothing_holds_on_to_a_connection_whose_request_is_answered(tmp_path: Path) -> None:
    """Attack: drip a body. The server reads on for as long as anything refers to its ends, errors in a cycle too."""
    headers = [(b"host", b"x"), (b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", b"5000")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/form",
        "raw_path": b"/form",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.1", 1234),
        "server": ("127.0.0.1", 80),
    }
    async with open_app(tmp_path, HANDLERS, settings={"body_deadline_seconds": 0}) as running:
        ends = Ends()
        statuses, held = ends.statuses, weakref.ref(ends)
        gc.disable()
        try:
            await running.app(scope, ends.receive, ends.send)
            del ends
            assert statuses == [408]
            assert held() is None
        finally:
            gc.enable()


async def test_each_16_kib_buys_a_second() -> None:
    arrived = [{"type": "http.request", "body": b"x" * (64 << 10), "more_body": True}]

    async def receive() -> Message:
        if arrived:
            return arrived.pop()
        await asyncio.sleep(0.15)
        return {"type": "http.request", "body": b"", "more_body": False}

    limited = limit_body(receive, bound=plain_bound(1 << 20, "X"), grace_seconds=0.05)
    await limited()
    assert (await limited())["more_body"] is False
    arrived.append({"type": "http.request", "body": b"x" * 11, "more_body": False})
    small = limit_body(receive, bound=plain_bound(10, "X"), grace_seconds=5)
    with pytest.raises(TooLarge, match=r"larger than 10 bytes \(X\)"):
        await small()


async def test_an_observer_hears_template_and_status(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []

    def observe(**facts: Any) -> None:
        heard.append(facts)

    async with open_app(tmp_path, HANDLERS, observe=observe) as running:
        await running.client(authorization="token repo").delete("/api/v3/blobs/secret-name")
        await running.client().get("/no/such/page/at-all")
    assert [(facts["method"], facts["status"]) for facts in heard] == [("DELETE", 204), ("GET", 404)]
    assert heard[0]["route"] == "/api/v3/blobs/{name}"
    assert heard[1]["route"] == "(none)"
    assert heard[0]["seconds"] > 0
