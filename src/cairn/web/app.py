"""Puts the web program's layers together. Features hand in their route handlers; ``programs`` hands in the rest.

From outside in: Door (ids, headers) > fronts (git's own paths, static files) > API conventions > admission (who asks) >
Litestar > body limits > the handler with its transaction.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import DefineMiddleware

from cairn.base.clock import Clock, utc_now
from cairn.base.errors import Unauthenticated
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.places import on_behalf_of
from cairn.web import markup_pages, pages, robots
from cairn.web.api import ApiConventions, require_known_version
from cairn.web.asgi import ASGIApp, Receive, Scope, Send
from cairn.web.context import Authenticate, RequestContext, Site, WebRequest, bind_context, find_context
from cairn.web.costs import OWN_PLACES_MIN, QUEUE_SECONDS, CostPlaces
from cairn.web.ends import Ends
from cairn.web.errors import handle_error
from cairn.web.freshness import KeptPages
from cairn.web.rate_limits import RateLimits, whose_share
from cairn.web.render import Renderer
from cairn.web.routing import check_routes, declaration_of
from cairn.web.security import BodyBound, BodyLimits, Door, Observer, plain_bound
from cairn.web.static_files import STATIC_PREFIX, StaticFiles

if TYPE_CHECKING:
    from cairn.git.engine import Engine

Front = Callable[[Scope], ASGIApp | None]
"""Takes a request over before Litestar sees it, or returns None; git's addresses need this."""

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

_UNCOUNTED = frozenset({"/api/v3/rate_limit"})


def _as_asgi(app: object) -> ASGIApp:
    """Return a Litestar app as the plain ASGI app it is."""
    return cast("ASGIApp", app)


class WebApp:
    """The ASGI application of the web program; ``litestar`` is inside, ``site`` what its requests share."""

    def __init__(self, asgi: ASGIApp, litestar: Litestar, site: Site) -> None:
        self._asgi = asgi
        self.litestar = litestar
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or the server's lifespan."""
        ends = Ends(scope, receive, send, grace_seconds=self.site.settings.body_deadline_seconds)
        del receive, send
        try:
            await self._asgi(scope, ends.receive, ends.send)
            await ends.finish()
        finally:
            ends.let_go()


def create_app(
    *,
    settings: Settings,
    database: Database,
    authenticate: Authenticate,
    signing_key: bytes,
    route_handlers: Sequence[HTTPRouteHandler] = (),
    packages: tuple[str, ...] = (),
    fronts: Sequence[Front] = (),
    lifespan: Sequence[Lifespan] = (),
    observe: Observer | None = None,
    limits: RateLimits | None = None,
    clock: Clock = utc_now,
    engine: "Engine | None" = None,
    reload_templates: bool = False,
) -> WebApp:
    """Return the web program's ASGI app; RouteUndeclared if a route does not say what it is for.

    ``packages`` are the import names that have a ``templates`` folder (``"cairn.identity"``). ``signing_key`` signs
    form tokens and flash messages and must be the same on all nodes. ``fronts`` pass through the Door only.
    """
    static = StaticFiles(("cairn.web",))
    static.report_missing()
    renderer = Renderer(("cairn.web", *packages), static, reload_templates=reload_templates)
    shared = settings.costly_anonymous_at_once
    site = Site(
        settings,
        database,
        renderer,
        signing_key,
        limits or RateLimits(settings),
        CostPlaces(shared=shared, own=max(shared, OWN_PLACES_MIN), queue_seconds=QUEUE_SECONDS),
        KeptPages(),
        clock,
        engine,
        authenticate,
    )
    litestar = Litestar(
        route_handlers=[*pages.route_handlers, *robots.route_handlers, *markup_pages.route_handlers, *route_handlers],
        exception_handlers={Exception: handle_error},
        middleware=[DefineMiddleware(cast("Any", BodyLimits), settings=settings, bound_of=_bound_of)],
        lifespan=[_rendering(site), *lifespan],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
        debug=False,
    )
    check_routes(litestar)
    inner: ASGIApp = Admission(litestar, site=site, authenticate=authenticate)
    inner = ApiConventions(inner)
    inner = Fronts(inner, [lambda scope: static if scope["path"].startswith(STATIC_PREFIX) else None, *fronts])
    return WebApp(Door(inner, settings=settings, observe=observe), litestar, site)


def _rendering(site: Site) -> Lifespan:
    @asynccontextmanager
    async def run(app: Litestar) -> AsyncIterator[None]:
        del app
        site.markup.spawn()
        yield

    return run


def _bound_of(scope: Scope) -> BodyBound | None:
    """Return the bound of a route's own, None where the setting holds.

    Bodies of forms are received before their handler finds out who may do what: a stranger fills no disk with them, and
    somebody whose session ended is told that this is all. What is neither streamed nor a form with files is kept in
    memory: there the setting holds for everybody.
    """
    declared, context = declaration_of(scope), find_context(scope)
    if declared is None or context is None:
        return None
    own = declared.max_body_bytes
    bytes_max = own(context.settings) if callable(own) else own
    if bytes_max is None:
        return None
    usual = context.settings.max_body_bytes
    if bytes_max > usual:
        if context.actor.is_anonymous:
            return BodyBound(usual, lambda: Unauthenticated("Sign in to send something this large."))
        if not declared.streams_body and context.request.content_type[0] != RequestEncodingType.MULTI_PART:
            return None
    return plain_bound(bytes_max, "this address's own limit")


class Fronts:
    """ASGI layer: the first front that wants a request gets it, Litestar's side gets the rest."""

    def __init__(self, app: ASGIApp, fronts: Sequence[Front]) -> None:
        self._app = app
        self._fronts = fronts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            for front in self._fronts:
                taken = front(scope)
                if taken is not None:
                    await taken(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class Admission:
    """ASGI layer: makes the request's context, finds out who asks, counts what they ask for."""

    def __init__(self, app: Litestar, *, site: Site, authenticate: Authenticate) -> None:
        self._app = app
        self._inner = _as_asgi(app)
        self._site = site
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        scope["litestar_app"] = scope["app"] = self._app
        scope.setdefault("state", {})
        request: WebRequest = WebRequest(cast("Any", scope), cast("Any", receive), cast("Any", send))
        client = scope.get("client")
        context = RequestContext(self._site, request, scope["cairn.request_id"], client[0] if client else "")
        bind_context(scope, context)
        try:
            if context.is_api:
                require_known_version(context)
            try:
                context.authentication = await self._authenticate(request)
            finally:
                self._count(context, scope["path"])  # a wrong credential counts against its address
        except Exception as error:
            response = handle_error(request, error)
            await _as_asgi(response.to_asgi_response(app=None, request=request))(scope, receive, send)
            return
        async with context.held:
            with on_behalf_of(whose_share(context.actor, context.client_address)):
                await self._inner(scope, receive, send)

    def _count(self, context: RequestContext, path: str) -> None:
        if not context.is_api:
            self._site.limits.count_page(context)
        elif path not in _UNCOUNTED:
            self._site.limits.count_api(context)
