"""Pages that need not be made again: validators that change with what a page shows, and pages kept for the next reader.

Whoever opens a versioned page (``Declaration.is_versioned``) tells, after having found that the reader may see it,
from which versions it is made. The same versions mean the same page: a browser that has it hears 304 before any git
work, and for readers who are not signed in, who all see the same, the page itself is kept. What carries no version (how
long ago something was, whose verified address an author's is) is at most LIFETIME_SECONDS old.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.response import Stream

from cairn.web.api import etag_matches
from cairn.web.context import DIFF_VIEW_COOKIE, RequestContext, Via
from cairn.web.rate_limits import caller_name
from cairn.web.render import HTML, put_away
from cairn.web.security import PAGE_VARY

LIFETIME_SECONDS = 300
KEPT_BYTES_MAX = 32 << 20
"""What kept pages may take in one program, all together."""

_PAGE_BYTES_MAX = 256 << 10
_PAGE_OVERHEAD_BYTES = 1000
_KEPT_HEADERS = frozenset({"etag", "content-type", "content-length", "x-robots-tag"})
_FRAGMENT_HEADERS = ("hx-request", "hx-target", "hx-boosted")
"""What a script asks with where it wants a part of a page: an answer to them is not the whole page's."""

_UNFINISHED = b'aria-busy="true"'
"""A page with this has a part that its browser asks for later. Text that somebody wrote has its quotes escaped."""


@dataclass(frozen=True, slots=True)
class KeptPage:
    """A page as it was sent, cut at each place of its nonce."""

    pieces: tuple[bytes, ...]
    size: int
    allow_remote_images: bool
    allow_frames: bool
    robots: str


class KeptPages:
    """Pages for readers who are not signed in, by what they were made from; the least recently asked for goes first."""

    def __init__(self, *, max_bytes: int = KEPT_BYTES_MAX) -> None:
        self._max_bytes = max_bytes
        self._pages: OrderedDict[tuple[str, str], KeptPage] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._pages)

    def find(self, key: tuple[str, str]) -> KeptPage | None:
        """Return the page of that address and those versions."""
        found = self._pages.get(key)
        if found is not None:
            self._pages.move_to_end(key)
        return found

    def keep(self, key: tuple[str, str], page: KeptPage) -> None:
        """Remember a page in place of an older one and forget the least recently asked for beyond the bound."""
        old = self._pages.pop(key, None)
        self.held_bytes += page.size - (old.size if old else 0)
        self._pages[key] = page
        while self.held_bytes > self._max_bytes:
            _, dropped = self._pages.popitem(last=False)
            self.held_bytes -= dropped.size


def answer_unchanged(context: RequestContext, versions: str) -> Response[bytes] | None:
    """Return 304 or a kept page if there is one, and remember ``versions`` for what is rendered otherwise.

    Only for a reader who was found to be allowed to see the page, at this moment.
    """
    if context.request.cookies.get(context.site.cookie_name("flash")):
        return None  # the page will show a message that the next one must not
    shared = _digest(versions, _surroundings(context))
    context.page_versions = shared
    etag = _etag(context)
    asked = context.request.headers.get("if-none-match", "")
    if asked and etag_matches(asked, etag):
        # Without a content policy: a browser would put the new nonce in place of the one its kept page has.
        return Response(content=b"", status_code=304, headers={"ETag": etag, "Vary": PAGE_VARY}, media_type=HTML)
    if context.actor.is_anonymous and (kept := context.site.kept_pages.find((context.path_and_query, shared))):
        context.allow_remote_images, context.allow_frames = kept.allow_remote_images, kept.allow_frames
        context.robots = kept.robots
        return Response(content=context.nonce.encode().join(kept.pieces), headers={"ETag": etag}, media_type=HTML)
    return None


def finish_page(context: RequestContext, response: Response[Any]) -> None:
    """Give a page that was rendered from versions its validator, and keep it for the next reader if all see the same.

    A page that is a refusal or unfinished has neither.
    """
    if not context.page_versions or response.status_code not in {None, 200} or response.media_type != HTML:
        return
    if any(name.lower() == "etag" for name in response.headers):
        return  # it was kept, or has a validator of its own
    if isinstance(response, Stream):
        response.headers["ETag"] = _etag(context)  # sent as it is made, and not kept
        return
    if not isinstance(response.content, str):
        return
    body = response.content.encode()
    if _UNFINISHED in body or response.headers.keys() - _KEPT_HEADERS:
        return
    response.headers["ETag"] = _etag(context)
    if context.actor.is_anonymous and not context.is_personal and len(body) <= _PAGE_BYTES_MAX:
        pieces = tuple(body.split(context.nonce.encode()))
        policy = (context.allow_remote_images, context.allow_frames, context.robots)
        page = KeptPage(pieces, len(body) + _PAGE_OVERHEAD_BYTES, *policy)
        context.site.kept_pages.keep((context.path_and_query, context.page_versions), page)


def _etag(context: RequestContext) -> str:
    return f'W/"{_digest(context.page_versions, _identity(context))}"'


def _identity(context: RequestContext) -> str:
    """Return what a page shows of the one who reads it: their name, and the tokens of its forms."""
    actor, session = context.actor, context.authentication
    caller = caller_name(context) if actor.is_signed_in else ""
    visitor = "" if session.via is Via.SESSION else context.request.cookies.get(context.site.cookie_name("csrf"), "")
    return repr((session.via, session.session_key, caller, actor.login, actor.is_site_admin, visitor))


def _surroundings(context: RequestContext) -> str:
    """Return what every page shows besides its own matter: build, appearance, announcements, a fragment's frame."""
    now = context.site.clock()
    state = context.site.state
    headers = context.request.headers
    return repr(
        (
            context.site.renderer.build,
            context.settings.origin,
            context.settings.ssh_origin,
            context.appearance,
            context.request.cookies.get(DIFF_VIEW_COOKIE, ""),
            state.banners_at(now, put_away(context)),
            state.registration or context.settings.registration,
            state.awaits_administrator,
            [headers.get(name) for name in _FRAGMENT_HEADERS],
            int(now.timestamp()) // LIFETIME_SECONDS,
        )
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
