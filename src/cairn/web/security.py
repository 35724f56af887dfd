"""The outermost door and the limits: request ids, proxies, security headers, body size and body time.

Plain ASGI, so that every answer passes here, whoever made it: pages, API, static files and git's own paths.
"""

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cairn.base.errors import CairnError, Malformed, TooLarge
from cairn.base.ids import random_id
from cairn.base.log import bind_request, get_logger
from cairn.base.patience import patience
from cairn.base.settings import MIB, Settings
from cairn.web.asgi import ASGIApp, Message, Receive, Scope, Send, header
from cairn.web.context import find_context, is_api_path

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

BODY_BYTES_PER_SECOND_MIN = 16 << 10
"""A body must arrive at least this fast once its grace time is used up."""

CLOSED_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""For everything that is no page of ours: if a browser shows it, it can do nothing."""
PERMISSIONS = (
    b"accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    b"magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
)
"""What no page here ever asks a browser for."""
PAGE_VARY = "Cookie, Authorization"
"""What of a request decides how a page looks, besides its address."""

_HEAD_ID = re.compile(rb"[A-Za-z0-9:_-]{8,64}")


def page_policy(
    nonce: str, *, allow_remote_images: bool, allow_frames: bool = False, allow_own_styles: bool = False
) -> str:
    """Return the content policy of one page: our own styles and images, scripts only with this answer's nonce.

    ``allow_remote_images`` is for pages that show rendered Markdown, whose pictures live elsewhere; ``allow_frames``
    for those with diagrams; ``allow_own_styles`` for those with an editor, whose styles have the nonce. No page but the
    one that draws diagrams lets itself be framed.
    """
    styles = f"'self' 'nonce-{nonce}'" if allow_own_styles else "'self'"
    frames = "'self'" if allow_frames else "'none'"
    images = "'self' data: https:" if allow_remote_images else "'self' data:"
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src {styles}; img-src {images}; "
        "font-src 'self'; media-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
        f"base-uri 'none'; frame-ancestors 'none'; frame-src {frames}"
    )


class Proxies:
    """Believes forwarded addresses only from peers the operator listed."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(text, strict=False) for text in trusted]

    def trusts(self, address: str) -> bool:
        """Tell whether ``address`` is one of the operator's proxies."""
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)

    def client_of(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last hop that is no proxy of ours, the peer itself if it is none."""
        address = peer
        hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
        while hops and self.trusts(address):
            hop = hops.pop()
            try:
                address = str(ipaddress.ip_address(hop))
            except ValueError:
                return address
        return address


class Observer(Protocol):
    """Hears of every finished request; ``ops`` counts them."""

    def __call__(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Note one request. ``route`` is the path's template, never the path, so that the names stay few."""
        ...


class Door:
    """Outermost ASGI layer: request id, client address, security headers on whatever answer leaves."""

    def __init__(self, app: ASGIApp, *, settings: Settings, observe: Observer | None = None) -> None:
        self._app = app
        self._proxies = Proxies(settings.trusted_proxies)
        self._is_secure = settings.origin.startswith("https://")
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._admit(scope)
        answer = _Answer(scope, send, request_id, is_secure=self._is_secure)
        started = time.perf_counter()
        client = scope.get("client")
        user_agent = header(scope, b"user-agent").decode("utf-8", "replace")
        with patience(), bind_request(request_id, address=client[0] if client else "", user_agent=user_agent):
            try:
                await self._app(scope, receive, answer)
            except Exception as error:
                # Only what fails beyond the error pages, or after an answer has begun, comes here.
                get_logger(__name__).error("answer_failed", path=scope["path"], exc_info=error)
                if answer.status == 0:
                    await _last_resort(answer)
                else:
                    raise  # The server must cut the connection: half an answer must not look whole.
            finally:
                if self._observe is not None:
                    route = str(scope.get("path_template") or "(none)")
                    seconds = time.perf_counter() - started
                    self._observe(method=scope["method"], route=route, status=answer.status, seconds=seconds)

    def _admit(self, scope: Scope) -> str:
        """Correct client and scheme in the scope; return the request id."""
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Several forwarded-for lines are one list.
            headers[name] = headers[name] + b"," + value if name == b"x-forwarded-for" and name in headers else value
        peer = scope.get("client") or ("", 0)
        request_id = random_id()
        if self._proxies.trusts(peer[0]):
            address = self._proxies.client_of(peer[0], headers.get(b"x-forwarded-for", b"").decode("latin-1"))
            scope["client"] = (address, peer[1] if address == peer[0] else 0)
            proto = headers.get(b"x-forwarded-proto", b"").strip().lower()
            if proto in {b"http", b"https"}:
                scope["scheme"] = proto.decode()
            given = headers.get(b"x-request-id", b"")
            if _HEAD_ID.fullmatch(given):
                request_id = given.decode()
        scope["cairn.request_id"] = request_id
        return request_id


async def _last_resort(send: Send) -> None:
    body = b"Something broke. This is our fault, and it has been logged.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class _Answer:
    """Adds the headers every answer carries; keeps the body of a HEAD answer back."""

    def __init__(self, scope: Scope, send: Send, request_id: str, *, is_secure: bool) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._is_secure = is_secure
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._headers(message["headers"])]
        elif message["type"] == "http.response.body" and self._scope["method"] == "HEAD":
            message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
        await self._send(message)

    def _headers(self, present: Any) -> list[tuple[bytes, bytes]]:  # noqa: ANN401 (any iterable of pairs)
        had = {name.lower(): value for name, value in present}
        context = find_context(self._scope)
        # What is sent to be kept is a stranger's file, whatever its type.
        is_page = had.get(b"content-type", b"").startswith(b"text/html") and b"content-disposition" not in had
        found = [
            (b"x-request-id", self._request_id.encode()),
            (b"x-github-request-id", self._request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"permissions-policy", PERMISSIONS),
        ]
        if not is_api_path(self._scope["path"]):
            # The API is open to every page, without cookies; nothing else may be drawn into one.
            found.append((b"cross-origin-resource-policy", b"same-origin"))
        if self._is_secure:
            found.append((b"strict-transport-security", b"max-age=31536000"))
        if b"content-security-policy" not in had and self.status != 304:
            # Not beside 304: a browser would hold the page that it kept, with an older nonce, to this policy.
            policy = CLOSED_POLICY
            if is_page and context is not None:
                policy = page_policy(
                    context.nonce,
                    allow_remote_images=context.allow_remote_images,
                    allow_frames=context.allow_frames,
                    allow_own_styles=context.allow_own_styles,
                )
            found.append((b"content-security-policy", policy.encode()))
        if is_page:
            found.append((b"vary", PAGE_VARY.encode()))
        if context is not None and context.robots:
            found.append((b"x-robots-tag", context.robots.encode()))
        if b"cache-control" not in had:
            # Whatever does not say so itself is for one person: a proxy on the way must not keep it for the next.
            found.append((b"cache-control", b"private, no-cache"))
        if context is not None:
            found += [
                (b"set-cookie", cookie.header(secure=self._is_secure).encode()) for cookie in context.cookies_to_set
            ]
        return found


@dataclass(frozen=True, slots=True)
class BodyBound:
    """What one body may have in bytes, and what stands for a larger one: TooLarge, or how to be allowed it."""

    bytes_max: int
    refusal: Callable[[], CairnError]


def limit_body(receive: Receive, *, bound: BodyBound, grace_seconds: float) -> Receive:
    """Return a ``receive`` that raises the bound's refusal past it and BodyTooSlow past the deadline.

    The deadline is ``grace_seconds`` from the first call plus one second for each 16 KiB that has arrived.
    """
    seen = 0
    started: float | None = None
    finished = False

    async def limited() -> Message:
        nonlocal seen, started, finished
        if finished:
            return await receive()  # Waiting for the client to leave has no deadline.
        loop = asyncio.get_running_loop()
        started = loop.time() if started is None else started
        deadline = started + grace_seconds + seen / BODY_BYTES_PER_SECOND_MIN
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow(
                f"The request's body did not arrive within {grace_seconds:g} seconds plus one for each 16 KiB "
                "(CAIRN_BODY_DEADLINE_SECONDS)."
            ) from None
        if message["type"] == "http.request":
            seen += len(message["body"])
            finished = not message["more_body"]
            if seen > bound.bytes_max:
                raise bound.refusal()
        return message

    return limited


class BodyTooSlow(Malformed):
    """A body did not arrive in time."""


def plain_bound(bytes_max: int, limit_name: str) -> BodyBound:
    """Return a bound whose refusal names it."""
    size = f"{bytes_max / MIB:g} MiB" if bytes_max >= MIB else f"{bytes_max:,} bytes"
    return BodyBound(bytes_max, lambda: TooLarge(f"The request's body is larger than {size} ({limit_name})."))


class BodyLimits:
    """Litestar middleware: every route's body has a size and a deadline, declared length or not."""

    def __init__(self, app: ASGIApp, *, settings: Settings, bound_of: Callable[[Scope], BodyBound | None]) -> None:
        self._app = app
        self._grace_seconds = settings.body_deadline_seconds
        self._usual = plain_bound(settings.max_body_bytes, "CAIRN_MAX_BODY_BYTES")
        self._bound_of = bound_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with a limited ``receive``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bound = self._bound_of(scope) or self._usual
        declared = header(scope, b"content-length")
        if declared.isdigit() and int(declared) > bound.bytes_max:
            raise bound.refusal()
        await self._app(scope, limit_body(receive, bound=bound, grace_seconds=self._grace_seconds), send)
