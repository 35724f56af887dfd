"""What one request knows: who asks, how they proved it, and what the answer must carry. Made at the door."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from urllib.parse import unquote, urlsplit

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.clock import Clock, utc_now
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.web.asgi import Scope
from cairn.web.costs import Cost, CostPlaces
from cairn.web.markup.rendering import TextRenderer
from cairn.web.site_state import SiteState
from cairn.web.tally import Tally
from cairn.web.urls import own_path

if TYPE_CHECKING:
    from cairn.git.engine import Engine
    from cairn.web.freshness import KeptPages
    from cairn.web.rate_limits import RateLimits
    from cairn.web.render import Renderer

WebRequest = Request[Any, Any, State]
Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")
Contrast = Literal["auto", "more", "less"]
CONTRASTS: tuple[Contrast, ...] = ("auto", "more", "less")

_SCOPE_KEY = "cairn.context"
_CSRF_COOKIE = "csrf"
_FLASH_COOKIE = "flash"
ONE_TIME_PARAMETERS = frozenset({"secret", "invitation"})
"""Query parameters of addresses that were mailed: whoever reads one may use it."""

THEME_COOKIE = "cairn_theme"
"""Written by the browser's own script too, so it has no prefix and no HttpOnly."""
CONTRAST_COOKIE = "cairn_contrast"
SHORTCUTS_COOKIE = "cairn_shortcuts"
DIFF_VIEW_COOKIE = "cairn_diff"


class Via(StrEnum):
    """How the caller proved who they are; cross-site checks depend on it."""

    NOTHING = "nothing"
    SESSION = "session"
    """A cookie, which a browser sends along by itself: writes need the CSRF token."""
    TOKEN = "token"  # noqa: S105 (a kind of credential)
    """A token in the Authorization header, which no other site can make a browser send."""
    PASSWORD = "password"  # noqa: S105 (a kind of credential)


@dataclass(frozen=True, slots=True)
class Authentication:
    """The result of authenticating one request; the default is anonymous.

    ``session_key`` is any text that changes when the session rotates (its row id will do, never the cookie's secret):
    CSRF tokens are bound to it. ``token_expires_at`` goes into GitHub's header of that meaning.
    """

    actor: Actor = ANONYMOUS
    via: Via = Via.NOTHING
    session_key: str = ""
    token_expires_at: datetime | None = None


class Authenticate(Protocol):
    """Supplied by ``programs``: finds out who asks, reading only.

    Raises Unauthenticated for a wrong token in a header. A stale or unknown cookie is just anonymous.
    """

    async def __call__(self, request: WebRequest) -> Authentication:
        """Return who asks."""
        ...

    async def ask_again(self, context: "RequestContext") -> Response[Any] | None:
        """Return None if the caller proved lately who they are, else the answer that asks them to.

        For routes declared with ``sudo=True``: an open browser that somebody left must not be enough for them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Cookie:
    """One Set-Cookie to be; ``max_age_seconds`` None ends with the browser, 0 deletes."""

    name: str
    value: str
    max_age_seconds: int | None = None
    http_only: bool = True

    def header(self, *, secure: bool) -> str:
        """Return the header's value: path /, SameSite=Lax, Secure where the origin is https."""
        parts = [f"{self.name}={self.value}", "Path=/", "SameSite=Lax"]
        if self.max_age_seconds is not None:
            parts.append(f"Max-Age={self.max_age_seconds}")
        if self.http_only:
            parts.append("HttpOnly")
        if secure:
            parts.append("Secure")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Appearance:
    """How this browser wants pages; ``auto`` is what its system asks for."""

    theme: Theme = "auto"
    contrast: Contrast = "auto"
    shortcuts: bool = True
    """False where single keys shall do nothing, so that speech input cannot set them off."""


@dataclass(frozen=True, slots=True)
class Flash:
    """One message for the next page a person sees. ``kind`` picks the colour and the icon."""

    text: str
    kind: Literal["success", "notice", "warning", "danger"] = "success"


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests of one program share."""

    settings: Settings
    database: Database
    renderer: "Renderer"
    signing_key: bytes
    limits: "RateLimits"
    """What callers may ask for; ``/rate_limit`` answers with ``limits.look(context)``."""
    cost_places: CostPlaces
    kept_pages: "KeptPages"
    clock: Clock = utc_now
    repository_engine: "Engine | None" = None
    authenticate: "Authenticate | None" = None
    state: SiteState = field(default_factory=SiteState)
    markup: TextRenderer = field(default_factory=TextRenderer)
    tally: Tally = field(default_factory=Tally)

    @property
    def engine(self) -> "Engine":
        """The repository engine; a program that serves repositories has one."""
        assert self.repository_engine is not None, "create_app was given no engine"
        return self.repository_engine

    @property
    def is_secure(self) -> bool:
        """True where browsers reach the site by https."""
        return self.settings.origin.startswith("https://")

    def cookie_name(self, base: str) -> str:
        """Return a cookie's name; over https with the prefix that stops other hosts from setting it."""
        return f"__Host-cairn_{base}" if self.is_secure else f"cairn_{base}"

    def sign(self, purpose: str, value: str) -> bytes:
        """Return 32 bytes that only this installation can make, bound to ``purpose``."""
        return hmac.digest(self.signing_key, f"{purpose}\0{value}".encode(), hashlib.sha256)


@dataclass(slots=True)
class RequestContext:
    """One request's facts, and what its answer must carry (cookies, image policy)."""

    site: Site
    request: WebRequest
    request_id: str
    client_address: str
    authentication: Authentication = field(default_factory=Authentication)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    cookies_to_set: list[Cookie] = field(default_factory=list)
    allow_remote_images: bool = False
    """Set by pages that show rendered Markdown: its images may come from other https hosts."""
    allow_frames: bool = False
    """Set by pages whose diagrams are drawn in sandboxed frames of this site."""
    allow_own_styles: bool = False
    """Set by pages with an editor, whose library writes styles that carry the answer's nonce."""
    fields: Mapping[str, list[Any]] | None = None
    """The parsed form, once it has been read."""
    form_is_stale: bool = False
    """The form was made for another session: nothing may be changed by it (``Declaration.returns_stale_forms``)."""
    page_versions: str = ""
    """From what the page is made, if its route is versioned and its reader may see it; see ``cairn.web.freshness``."""
    is_personal: bool = False
    """The answer holds something for this browser alone: a form's token, a message, a cookie."""
    robots: str = ""
    """What search engines are told of this page; empty: that it is welcome."""
    held: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What is held until the answer has been sent."""

    @property
    def actor(self) -> Actor:
        """Who asks."""
        return self.authentication.actor

    @property
    def settings(self) -> Settings:
        """The operator's settings."""
        return self.site.settings

    @property
    def path(self) -> str:
        """The path asked for, as sent, without query."""
        raw = self.request.scope.get("raw_path") or self.request.scope["path"].encode()
        return raw.split(b"?")[0].decode("ascii", "replace")

    @property
    def path_and_query(self) -> str:
        """The path asked for with its query, for coming back to it after signing in."""
        query = self.request.scope["query_string"].decode("ascii", "replace")
        return f"{self.path}?{query}" if query else self.path

    @property
    def repeatable_address(self) -> str:
        """The same without its query where that holds the secret of a one-time link: for links to pages that log it."""
        if ONE_TIME_PARAMETERS & self.request.query_params.keys():
            return self.path
        return self.path_and_query

    def own_path(self, candidate: str | None, *, default: str = "/") -> str:
        """Return where a ``next`` parameter leads if that is a page of ours, else ``default``.

        The path must be one of this site, and one that our own router resolves: what browsers and proxies make of odd
        paths then does not matter.
        """
        path = own_path(candidate, default="")
        router = self.request.app.asgi_router
        try:
            router.handle_routing(path=unquote(urlsplit(path).path), method="GET")
        except HTTPException:
            return default
        return path or default

    @property
    def is_api(self) -> bool:
        """True where errors are GitHub-shaped JSON instead of pages."""
        return is_api_path(self.request.scope["path"])

    @property
    def appearance(self) -> Appearance:
        """What the person chose for this browser; a cookie that says anything else says nothing."""
        cookies = self.request.cookies
        theme, contrast = cookies.get(THEME_COOKIE), cookies.get(CONTRAST_COOKIE)
        return Appearance(
            theme=next((known for known in THEMES if known == theme), "auto"),
            contrast=next((known for known in CONTRASTS if known == contrast), "auto"),
            shortcuts=cookies.get(SHORTCUTS_COOKIE) != "off",
        )

    async def pay(self, cost: Cost) -> None:
        """Take the places of costly work until the answer is sent, and its points. Errors: RateLimited, CostlyBusy."""
        if cost.points:
            self.site.limits.count_cost(self, cost.points)
            caller = "" if self.actor.is_anonymous else self.actor.label
            await self.held.enter_async_context(self.site.cost_places.hold(caller, cost))

    def set_cookie(self, cookie: Cookie) -> None:
        """Send a cookie with the answer, whatever the answer will be."""
        self.is_personal = True
        self.cookies_to_set.append(cookie)

    def csrf_token(self) -> str:
        """Return the token a form of this person must carry; differs each time, so that compression tells nothing.

        An anonymous visitor gets a random cookie to bind it to.
        """
        self.is_personal = True
        proof = self.site.sign("csrf", self._csrf_binding(create=True))
        mask = secrets.token_bytes(len(proof))
        masked = mask + bytes(a ^ b for a, b in zip(mask, proof, strict=True))
        return base64.urlsafe_b64encode(masked).decode().rstrip("=")

    def csrf_token_is_valid(self, token: str) -> bool:
        """Tell whether ``token`` was made for this session (or this anonymous browser)."""
        binding = self._csrf_binding(create=False)
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return False
        if not binding or len(raw) != 64:
            return False
        proof = bytes(a ^ b for a, b in zip(raw[:32], raw[32:], strict=True))
        return hmac.compare_digest(proof, self.site.sign("csrf", binding))

    def _csrf_binding(self, *, create: bool) -> str:
        if self.authentication.via is Via.SESSION:
            return f"session:{self.authentication.session_key}"
        name = self.site.cookie_name(_CSRF_COOKIE)
        pending = next((cookie.value for cookie in self.cookies_to_set if cookie.name == name), "")
        value = pending or self.request.cookies.get(name, "")
        if not value and create:
            value = secrets.token_urlsafe(16)
            self.set_cookie(Cookie(name, value))
        return f"visitor:{value}" if value else ""

    def flash(self, text: str, kind: Literal["success", "notice", "warning", "danger"] = "success") -> None:
        """Show ``text`` on the next page this browser opens (for answers that redirect)."""
        payload = base64.urlsafe_b64encode(json.dumps([text[:500], kind]).encode()).decode()
        proof = self.site.sign("flash", payload).hex()
        self.set_cookie(Cookie(self.site.cookie_name(_FLASH_COOKIE), f"{payload}.{proof}", max_age_seconds=60))

    def take_flash(self) -> Flash | None:
        """Return the message waiting for this browser and delete it; None for none or a forged one."""
        name = self.site.cookie_name(_FLASH_COOKIE)
        raw = self.request.cookies.get(name)
        if not raw:
            return None
        self.set_cookie(Cookie(name, "", max_age_seconds=0))
        payload, _, proof = raw.strip('"').partition(".")
        if not hmac.compare_digest(proof.encode(), self.site.sign("flash", payload).hex().encode()):
            return None
        text, kind = json.loads(base64.urlsafe_b64decode(payload))
        return Flash(text, kind)


def is_api_path(path: str) -> bool:
    """Tell whether a path belongs to the API, whose answers are JSON."""
    return path.startswith("/api/") or path == "/api"


def bind_context(scope: Scope, context: RequestContext) -> None:
    """Make ``context`` the one of this request."""
    scope[_SCOPE_KEY] = context


def find_context(scope: Scope) -> RequestContext | None:
    """Return the request's context, None before admission and for what fronts took over."""
    return scope.get(_SCOPE_KEY)


def context_of(request: WebRequest) -> RequestContext:
    """Return the context the door made for this request."""
    return cast("RequestContext", cast("dict[str, Any]", request.scope)[_SCOPE_KEY])
