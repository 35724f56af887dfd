"""GitHub's conventions for every API answer: headers, JSON, pages of a list, conditional requests, media types."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Response
from litestar.datastructures import Headers

from cairn.base.errors import FieldProblem, Invalid, Malformed
from cairn.web.asgi import ASGIApp, Message, Receive, Scope, Send, header
from cairn.web.context import RequestContext, find_context, is_api_path
from cairn.web.rate_limits import caller_name

T = TypeVar("T")

ENTERPRISE_VERSION = "3.19.0"
"""What we say we are: clients parse it as a semantic version and switch features by it."""
API_VERSIONS = ("2022-11-28",)
DOCUMENTATION_URL = "https://docs.github.com/enterprise-server@3.19/rest"
JSON = "application/json; charset=utf-8"
PER_PAGE_DEFAULT = 30
PER_PAGE_MAX = 100
PAGE_MAX = 10_000_000
_ETAG_BODY_BYTES_MAX = 8 << 20

_EXPOSED = (
    "ETag, Link, Location, Retry-After, X-GitHub-Api-Version-Selected, X-GitHub-Media-Type, X-GitHub-Request-Id, "
    "X-OAuth-Scopes, X-Accepted-OAuth-Scopes, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Used, "
    "X-RateLimit-Resource, X-RateLimit-Reset, X-Request-Id"
)
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, "
    "If-Unmodified-Since, X-GitHub-Api-Version, X-Requested-With",
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """A body with its own status or headers, where a handler's plain return value does not say enough."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list is asked for: ``page`` from 1, ``per_page`` 1 to 100."""

    page: int = 1
    per_page: int = PER_PAGE_DEFAULT

    @property
    def offset(self) -> int:
        """How many items stand before the page."""
        return (self.page - 1) * self.per_page


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. ``total`` gives rel="last"; without it ``has_next`` alone gives rel="next".

    ``body`` replaces the plain list where GitHub wraps it (``{"total_count": …, "items": […]}``).
    """

    items: Sequence[T]
    request: PageRequest
    total: int | None = None
    has_next: bool = False
    body: Any = None

    @property
    def last_page(self) -> int | None:
        """The number of the last page, None where the total is not known."""
        return None if self.total is None else max(1, -(-self.total // self.request.per_page))


def read_page(context: RequestContext) -> PageRequest:
    """Return ``page`` and ``per_page`` of the query; what is out of range or no number is clamped silently."""
    query = context.request.query_params
    return PageRequest(
        page=_number(query.get("page"), 1, PAGE_MAX),
        per_page=_number(query.get("per_page"), PER_PAGE_DEFAULT, PER_PAGE_MAX),
    )


def _number(text: str | None, default: int, most: int) -> int:
    if text is None or not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        return default
    return min(int(text), most) or default


def link_header(context: RequestContext, page: Page[Any]) -> str:
    """Return the Link header's value with absolute addresses, empty when one page holds everything."""
    here, last = page.request.page, page.last_page
    found: list[tuple[str, int]] = []
    if here > 1:
        found.append(("prev", here - 1 if last is None else min(here - 1, last)))
    if page.has_next or (last is not None and here < last):
        found.append(("next", here + 1))
        if last is not None:
            found.append(("last", last))
    if here > 1:
        found.append(("first", 1))
    return ", ".join(f'<{_page_url(context, number)}>; rel="{rel}"' for rel, number in found)


def _page_url(context: RequestContext, number: int) -> str:
    query = context.request.scope["query_string"].decode("latin-1")
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "page"]
    return f"{context.settings.origin}{context.path}?{urlencode([*kept, ('page', str(number))])}"


def answer_json(context: RequestContext, result: object, *, status: int) -> Response[bytes | None]:
    """Return a handler's value as JSON; 204 without a body for None; a Page with its Link header."""
    headers: dict[str, str] = {}
    if isinstance(result, ApiAnswer):
        status, headers, result = result.status, dict(result.headers), result.body
    if isinstance(result, Page):
        link = link_header(context, result)
        if link:
            headers["Link"] = link
        result = list(result.items) if result.body is None else result.body
    if status == 204 or (result is None and status in {200, 201, 204}):
        return Response(content=None, status_code=204, headers=headers)
    # An accepted request never has an empty body: gh stops with "unexpected end of JSON input".
    body = msgspec.json.encode({} if result is None else result)
    return Response(content=body, status_code=status, headers=headers, media_type=JSON)


def decode_body(body: bytes, kind: Any) -> Any:  # noqa: ANN401 (the handler's own annotation)
    """Return the JSON body as ``kind``; Malformed if it is no JSON object, Invalid with the field otherwise."""
    body = body or b"{}"
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        _require_object(body)
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("Problems parsing JSON") from None


def _require_object(body: bytes) -> None:
    if not body.lstrip().startswith(b"{"):
        raise Malformed("Body should be a JSON object")


def _invalid(message: str) -> Invalid:
    said, _, path = message.partition(" - at `$")
    if match := re.search(r"missing required field `([^`]+)`", said):
        name = match[1]
        return Invalid(
            f'Invalid request.\n\n"{name}" wasn\'t supplied.',
            FieldProblem(name, "missing_field", f"{name} is missing."),
        )
    name = path.strip("`.").split("[")[0].split(".")[0] or "body"
    return Invalid(f"Invalid request.\n\n{name}: {said}", FieldProblem(name, "invalid", said))


def api_time(value: datetime | None) -> str | None:
    """Return a time as the API writes it, UTC without fraction: ``2024-01-02T03:04:05Z``."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(value: datetime) -> str:
    """Return a time as Last-Modified writes it."""
    return format_datetime(value.astimezone(UTC).replace(microsecond=0), usegmt=True)


def media_format(accept: str) -> str:
    """Return the special format an Accept header asks for (``raw``, ``diff``, ``html`` …) or ``json``.

    Any media type is accepted: an unknown or a preview name means JSON, as does an empty header.
    """
    for part in accept.split(","):
        name = part.split(";")[0].strip().lower()
        if name == "application/octet-stream":
            return "octet-stream"
        match = re.fullmatch(r"application/vnd\.github(?:\.v3|\.[a-z0-9-]+-preview)?\.([a-z-]+)(?:\+json)?", name)
        if match and match[1] in {
            "raw",
            "html",
            "text",
            "full",
            "diff",
            "patch",
            "sha",
            "star",
            "text-match",
            "object",
        }:
            return match[1]
    return "json"


class ApiConventions:
    """ASGI middleware: gives answers under /api/ GitHub's headers, turns an unchanged one into 304.

    Admission, inside, makes the request's context.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not is_api_path(scope["path"]):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await _answer_preflight(send)
            return
        await self._app(scope, receive, _Conditioner(scope, send))


async def _answer_preflight(send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in (_PREFLIGHT | _cors()).items()]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _cors() -> dict[str, str]:
    return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}


class _Conditioner:
    """Holds the start of an answer back until its body is known, if the body is small and comes in one piece."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body" or self._start is None:
            await self._send(message)
            return
        start, self._start = self._start, None
        body = message.get("body", b"")
        is_whole = not message.get("more_body", False) and len(body) <= _ETAG_BODY_BYTES_MAX
        headers = Headers(start["headers"])
        not_modified = False
        if start["status"] == 200 and self._scope["method"] in {"GET", "HEAD"} and is_whole:
            extra, not_modified = self._validators(headers, body)
            start["headers"] = [*start["headers"], *extra]
        if not_modified:
            dropped = {b"content-length", b"content-type"}
            kept = [(name, value) for name, value in start["headers"] if name.lower() not in dropped]
            start = {"type": "http.response.start", "status": 304, "headers": kept}
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        start["headers"] = [*start["headers"], *self._headers(start["status"])]
        await self._send(start)
        await self._send(message)

    def _validators(self, answered: Headers, body: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
        asked = Headers(self._scope["headers"])
        extra: list[tuple[bytes, bytes]] = []
        etag = answered.get("etag")
        if etag is None:
            etag = f'W/"{self._fingerprint(asked.get("accept", ""), body)}"'
            extra.append((b"etag", etag.encode()))
        if "cache-control" not in answered:
            extra.append((b"cache-control", b"private, max-age=60, s-maxage=60"))
        if "if-none-match" in asked:
            return extra, etag_matches(asked["if-none-match"], etag)
        if "if-modified-since" in asked and "last-modified" in answered:
            return extra, not _is_newer(answered["last-modified"], asked["if-modified-since"])
        return extra, False

    def _fingerprint(self, accept: str, body: bytes) -> str:
        context = find_context(self._scope)
        caller = caller_name(context) if context and context.actor.account_id is not None else "anonymous"
        return hashlib.sha256(f"{caller}\0{accept}\0".encode() + body).hexdigest()[:32]

    def _headers(self, status: int) -> list[tuple[bytes, bytes]]:
        found = {
            "X-GitHub-Media-Type": self._media_type(),
            "X-GitHub-Enterprise-Version": ENTERPRISE_VERSION,
            "X-GitHub-Api-Version-Selected": API_VERSIONS[-1],
            "Vary": "Accept, Authorization, Cookie, Accept-Encoding",
            **_cors(),
        }
        context = find_context(self._scope)
        if context is not None:
            found |= self._caller_headers(context, status)
        return [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in found.items()]

    def _media_type(self) -> str:
        wanted = media_format(header(self._scope, b"accept").decode("latin-1"))
        return "github.v3; format=json" if wanted == "json" else f"github.v3; param={wanted}; format=json"

    def _caller_headers(self, context: RequestContext, status: int) -> dict[str, str]:
        found: dict[str, str] = {}
        limits = context.site.limits
        if status == 304:
            limits.give_back(context)
        rate = limits.look(context)
        found |= {
            "X-RateLimit-Limit": str(rate.limit),
            "X-RateLimit-Remaining": str(rate.remaining),
            "X-RateLimit-Used": str(rate.used),
            "X-RateLimit-Reset": str(rate.reset_at),
            "X-RateLimit-Resource": rate.resource,
        }
        narrowed = context.actor.limits
        if narrowed is not None:
            found["X-OAuth-Scopes"] = ", ".join(sorted(narrowed.scopes))
            handler = self._scope.get("route_handler")
            declared = None if handler is None else handler.opt.get("cairn.declaration")
            accepted = frozenset() if declared is None else declared.token_scopes
            found["X-Accepted-OAuth-Scopes"] = ", ".join(sorted(scope for scope in accepted if scope[0] != "("))
            expires = context.authentication.token_expires_at
            if expires is not None:
                found["GitHub-Authentication-Token-Expiration"] = expires.astimezone(UTC).strftime(
                    "%Y-%m-%d %H:%M:%S UTC"
                )
        return found


def etag_matches(asked: str, etag: str) -> bool:
    """Tell whether an If-None-Match header names ``etag`` (weak comparison) or is ``*``."""
    own = etag.removeprefix("W/")
    return asked.strip() == "*" or any(part.strip().removeprefix("W/") == own for part in asked.split(","))


def _is_newer(modified: str, since: str) -> bool:
    try:
        return parsedate_to_datetime(modified) > parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return True


def require_known_version(context: RequestContext) -> None:
    """Return if the request names no API version or one we serve; Malformed names those we do."""
    asked = context.request.headers.get("x-github-api-version")
    if asked is not None and asked not in API_VERSIONS:
        raise Malformed(f"{asked!r} is no API version served here; send {' or '.join(API_VERSIONS)}, or no header.")
