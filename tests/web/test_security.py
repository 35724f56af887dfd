import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Response
from tests.web.support import Running, open_app, user

from cairn.base.errors import TooLarge
from cairn.web.asgi import Message
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import read_form
from cairn.web.pages import AppearanceForm
from cairn.web.routing import PUBLIC, api, declared_routes, page
from cairn.web.security import CLOSED_POLICY, BodyTooSlow, Proxies, limit_body


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


@api.delete("/api/v3/blobs/{name:str}", action=PUBLIC, resource="none")
async def delete_blob(name: str) -> None:
    assert name


HANDLERS = [where, form, put_blob, delete_blob]


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path, HANDLERS, settings={"max_body_bytes": 4 << 20}) as app:
        yield app


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


async def test_a_slow_body_is_cut_off() -> None:
    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    limited = limit_body(silent, bytes_max=10, grace_seconds=0.05, limit_name="X")
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


async def test_each_16_kib_buys_a_second() -> None:
    arrived = [{"type": "http.request", "body": b"x" * (64 << 10), "more_body": True}]

    async def receive() -> Message:
        if arrived:
            return arrived.pop()
        await asyncio.sleep(0.15)
        return {"type": "http.request", "body": b"", "more_body": False}

    limited = limit_body(receive, bytes_max=1 << 20, grace_seconds=0.05, limit_name="X")
    await limited()
    assert (await limited())["more_body"] is False
    arrived.append({"type": "http.request", "body": b"x" * 11, "more_body": False})
    small = limit_body(receive, bytes_max=10, grace_seconds=5, limit_name="X")
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
