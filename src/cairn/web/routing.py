"""Routes that say what they are for. ``page`` and ``api`` wrap Litestar's decorators and demand a declaration.

A handler names what it needs and gets it by name:

- ``context: RequestContext``, ``actor: Actor``, ``request: WebRequest``, ``settings: Settings``,
  ``database: Database``, ``engine: Engine``
- ``session: AsyncSession``: read-only for GET and HEAD; otherwise one write transaction, committed before the answer
  goes out, rolled back by an error and by an answer of 400 or more
- ``reading: AsyncSession``: always read-only, for handlers that call the engine's ``land`` (which has its own)
- ``body: SomeStruct`` (API): the parsed JSON

Everything else is a path or query parameter as Litestar reads them. The request body is read, within its limits, before
a transaction opens.
"""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

from litestar import Litestar, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action, Resource
from cairn.access.decide import require
from cairn.access.scopes import AccountScope, SiteScope
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, NotFound
from cairn.base.settings import Settings
from cairn.web.api import answer_json, decode_body
from cairn.web.context import RequestContext, WebRequest, context_of
from cairn.web.costs import Cost
from cairn.web.forms import FormOutOfDate, discard_body, receive_body, require_same_site
from cairn.web.freshness import finish_page

PUBLIC = Action.SITE_VISIT
"""The action of what everybody may open."""

PathNames = Literal["repository", "account", "site", "none"]
"""What a path's parameters name: ``/{owner}/{repo}…`` a repository, ``/{login}…`` an account, or no thing at all."""

Kind = Literal["page", "api"]
Handler = Callable[..., Awaitable[Any]]

_OPT = "cairn.declaration"
_READING = frozenset({"GET", "HEAD"})
_NUMBER_MAX = 2**63 - 1
"""The largest id there can be: no column holds more, and no driver takes it."""
_ACCOUNT_PARAMETERS = frozenset({"owner", "login", "org", "username", "account_id", "organization_id"})
_PROVIDED = frozenset({"context", "actor", "session", "reading", "settings", "database", "engine", "body"})


BodyLimit = int | Callable[[Settings], int] | None
"""The largest body of a route in bytes, or how it follows from the settings."""


class RouteUndeclared(CairnError):
    """A route lacks its declaration, or the declaration contradicts the path; the start stops."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a route says of itself. ``max_body_bytes`` None means the setting of that name, which is also the most that
    somebody who is not signed in may send, and the most of what is neither streamed nor a form with files.
    """

    kind: Kind
    action: Action
    resource: PathNames
    max_body_bytes: BodyLimit = None
    cross_site_check: bool = True
    sudo: bool = False
    """The change is dangerous: a browser's session must have proved lately who sits there."""
    cost: Cost = Cost.LIGHT
    """What answering takes of budgets; paid when the work begins, so that what needs none is free."""
    is_versioned: bool = False
    """A page that is the same as long as the repository's versions are: it has a validator (``web.freshness``)."""
    returns_stale_forms: bool = False
    """The handler gives back what was typed into a form that is older than the session (``context.form_is_stale``), and
    changes nothing."""
    streams_body: bool = False
    """The handler reads the body itself, piece by piece, while it comes."""

    @property
    def token_scopes(self) -> frozenset[str]:
        """The scopes of which a token needs one; empty where any token will do."""
        return self.action.facts.token_scopes


@dataclass(frozen=True, slots=True)
class Routes:
    """The decorators of one kind: ``page`` answers HTML to people, ``api`` GitHub-shaped JSON to programs."""

    kind: Kind

    def get(
        self,
        *paths: str,
        action: Action,
        resource: PathNames,
        status: int = 200,
        sudo: bool = False,
        cost: Cost = Cost.LIGHT,
        is_versioned: bool = False,
    ) -> Callable[[Handler], Any]:
        """Answer GET and HEAD; the handler's session is read-only.

        ``cost`` and ``is_versioned``: see ``Declaration``.
        Of every method: ``sudo`` asks for the password again where it was not given lately (``ask_again``), before the
        handler runs. Tokens and passwords sent with the request are proof enough.
        """
        return self._route(
            ["GET", "HEAD"], paths, action, resource, status, sudo=sudo, cost=cost, is_versioned=is_versioned
        )

    def post(
        self,
        *paths: str,
        action: Action,
        resource: PathNames,
        status: int | None = None,
        max_body_bytes: BodyLimit = None,
        cross_site_check: bool = True,
        sudo: bool = False,
        returns_stale_forms: bool = False,
        streams_body: bool = False,
    ) -> Callable[[Handler], Any]:
        """Answer POST: 200 for pages and 201 for the API unless ``status`` says otherwise.

        ``cross_site_check`` False is for endpoints that programs without cookies post to (OAuth's token endpoint).
        ``returns_stale_forms``, ``streams_body``: see ``Declaration``.
        """
        chosen = status or (201 if self.kind == "api" else 200)
        return self._route(
            ["POST"],
            paths,
            action,
            resource,
            chosen,
            max_body_bytes=max_body_bytes,
            cross_site_check=cross_site_check,
            sudo=sudo,
            returns_stale_forms=returns_stale_forms,
            streams_body=streams_body,
        )

    def put(
        self,
        *paths: str,
        action: Action,
        resource: PathNames,
        status: int = 200,
        max_body_bytes: BodyLimit = None,
        sudo: bool = False,
    ) -> Callable[[Handler], Any]:
        """Answer PUT."""
        return self._route(["PUT"], paths, action, resource, status, max_body_bytes=max_body_bytes, sudo=sudo)

    def patch(
        self, *paths: str, action: Action, resource: PathNames, status: int = 200, sudo: bool = False
    ) -> Callable[[Handler], Any]:
        """Answer PATCH."""
        return self._route(["PATCH"], paths, action, resource, status, sudo=sudo)

    def delete(
        self, *paths: str, action: Action, resource: PathNames, status: int = 204, sudo: bool = False
    ) -> Callable[[Handler], Any]:
        """Answer DELETE: 204 without a body unless the handler returns one and ``status`` says so."""
        return self._route(["DELETE"], paths, action, resource, status, sudo=sudo)

    def _route(
        self,
        methods: list[str],
        paths: tuple[str, ...],
        action: Action,
        resource: PathNames,
        status: int,
        *,
        max_body_bytes: BodyLimit = None,
        cross_site_check: bool = True,
        sudo: bool = False,
        cost: Cost = Cost.LIGHT,
        is_versioned: bool = False,
        returns_stale_forms: bool = False,
        streams_body: bool = False,
    ) -> Callable[[Handler], HTTPRouteHandler]:
        declared = Declaration(
            self.kind,
            action,
            resource,
            max_body_bytes,
            cross_site_check,
            sudo,
            cost,
            is_versioned,
            returns_stale_forms,
            streams_body,
        )

        def decorate(fn: Handler) -> HTTPRouteHandler:
            return HTTPRouteHandler(
                list(paths),
                http_method=[HttpMethod(method) for method in methods],
                opt={_OPT: declared},
                # Answers carry their own status; Litestar would refuse the annotation beside a 204.
                status_code=200 if status == 204 else status,
            )(_provide(fn, declared, status, paths))

        return decorate


page = Routes("page")
api = Routes("api")


def declaration_of(scope: Any) -> Declaration | None:  # noqa: ANN401 (Litestar's scope types exclude each other)
    """Return the declaration of the route a request was sent to, None before routing and for Litestar's own routes."""
    handler = scope.get("route_handler")
    return None if handler is None else handler.opt.get(_OPT)


def _provide(fn: Handler, declared: Declaration, status: int, paths: tuple[str, ...]) -> Handler:
    """Wrap a handler so that it gets what it names, in its transaction, behind the cross-site check."""
    signature = inspect.signature(fn)
    hints = get_type_hints(fn, include_extras=True)
    wanted = _PROVIDED.intersection(signature.parameters)
    wants_request = "request" in signature.parameters
    body_type = hints.get("body")

    @functools.wraps(fn)
    async def run(request: WebRequest, **parameters: object) -> Response[Any]:
        context = context_of(request)
        if any(isinstance(value, int) and abs(value) > _NUMBER_MAX for value in parameters.values()):
            raise NotFound("Not Found")
        _require_declared(context.actor, declared)
        is_reading = request.method in _READING
        if not is_reading:
            if not declared.streams_body:
                await receive_body(context, request)
            await _check_site(context, declared)
        if declared.sudo:
            assert context.site.authenticate is not None, "a program with routes knows who asks"
            asking = await context.site.authenticate.ask_again(context)
            if asking is not None:
                return asking
        if wants_request:
            parameters["request"] = request
        if "body" in wanted:
            parameters["body"] = decode_body(await request.body(), body_type)
        async with AsyncExitStack() as stack:
            provided = await _open(stack, context, wanted, is_reading=is_reading)
            result = await _call(fn, request, declared, {**parameters, **provided})
            response = result if isinstance(result, Response) else _respond(context, declared, result, status)
            session = provided.get("session")
            if isinstance(session, AsyncSession) and (response.status_code or status) >= 400:
                await session.rollback()
            finish_page(context, response)
            return response

    plain = [p for name, p in signature.parameters.items() if name not in wanted and name != "request"]
    seen = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=WebRequest)
    as_keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in plain]
    run.__signature__ = inspect.Signature([seen, *as_keywords], return_annotation=Response)  # type: ignore[attr-defined]
    in_path = {name for path in paths for name in re.findall(r"\{(\w+):", path)}
    run.__annotations__ = {p.name: _from(hints[p.name], is_path=p.name in in_path) for p in plain}
    run.__annotations__ |= {"request": WebRequest, "return": Response[Any]}
    return run


async def _call(fn: Handler, request: WebRequest, declared: Declaration, arguments: dict[str, Any]) -> Any:  # noqa: ANN401 (the handler's)
    """Return what a handler returns; what it left of a streamed body is gone before the answer."""
    if not declared.streams_body:
        return await fn(**arguments)
    try:
        result = await fn(**arguments)
    except CairnError:
        await discard_body(request)
        raise
    await discard_body(request)
    return result


async def _check_site(context: RequestContext, declared: Declaration) -> None:
    """Hold a write to have been made by our own page; a stale form is handed over where that is declared."""
    if not declared.cross_site_check:
        return
    try:
        await require_same_site(context, is_api=declared.kind == "api")
    except FormOutOfDate:
        if not declared.returns_stale_forms:
            raise
        context.form_is_stale = True


def _require_declared(actor: Actor, declared: Declaration) -> None:
    """Hold a route whose path names no thing to its declaration: it is about the caller's own account or the site.

    So a token without the scope does not even see the form. Who is not signed in gets the handler's own words, and a
    route about a named thing finds and decides in the domain, where what is hidden is absent.
    """
    if declared.resource in {"none", "site"} and actor.account_id is not None:
        is_site = declared.action.facts.resource is Resource.SITE
        require(actor, declared.action, SiteScope() if is_site else AccountScope(actor.account_id))


def _from(kind: Any, *, is_path: bool) -> Any:  # noqa: ANN401 (annotations)
    """Return the annotation that tells Litestar where a parameter comes from, unless the handler says so itself."""
    if any(isinstance(meta, ParameterKwarg) for meta in getattr(kind, "__metadata__", ())):
        return kind
    return Annotated[kind, PathParameter() if is_path else QueryParameter()]


async def _open(
    stack: AsyncExitStack, context: RequestContext, wanted: Iterable[str], *, is_reading: bool
) -> dict[str, object]:
    database = context.site.database
    provided: dict[str, object] = {}
    for name in wanted:
        match name:
            case "context":
                provided[name] = context
            case "actor":
                provided[name] = context.actor
            case "settings":
                provided[name] = context.settings
            case "database":
                provided[name] = database
            case "engine":
                provided[name] = context.site.engine
            case "session":
                provided[name] = await stack.enter_async_context(database.read() if is_reading else database.write())
            case "reading":
                provided[name] = await stack.enter_async_context(database.read())
    return provided


def _respond(context: RequestContext, declared: Declaration, result: object, status: int) -> Response[Any]:
    if declared.kind == "api":
        return answer_json(context, result, status=status)
    raise TypeError(f"a page handler returns render(...) or a redirect, not {type(result).__name__}")


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """One method of one path, for tables and generated tests."""

    method: str
    path: str
    declaration: Declaration
    parameters: frozenset[str] = field(default_factory=frozenset)


def declared_routes(app: Litestar) -> list[DeclaredRoute]:
    """Return every route of the app with its declaration; RouteUndeclared names all that are wrong."""
    found: list[DeclaredRoute] = []
    problems: list[str] = []
    for route in app.routes:
        names = frozenset(part.name for part in route.path_components if not isinstance(part, str))
        for handler in getattr(route, "route_handlers", [getattr(route, "route_handler", None)]):
            methods = sorted(getattr(handler, "http_methods", {"(not HTTP)"}))
            if methods == ["OPTIONS"]:
                continue
            declared = handler.opt.get(_OPT)
            if not isinstance(declared, Declaration):
                problems.append(
                    f"{'/'.join(methods)} {route.path_format}: declares no action, resource and token scope"
                )
                continue
            contradiction = _contradiction(declared, names)
            if contradiction:
                problems.append(f"{'/'.join(methods)} {route.path_format}: {contradiction}")
            found += [DeclaredRoute(method, route.path_format, declared, names) for method in methods]
    if problems:
        raise RouteUndeclared("These routes cannot be served:\n" + "\n".join(problems))
    return sorted(found, key=lambda route: (route.path, route.method))


def check_routes(app: Litestar) -> None:
    """Return if every route declares action, resource and token scope without contradiction, else RouteUndeclared."""
    declared_routes(app)


def _contradiction(declared: Declaration, names: frozenset[str]) -> str:
    has_repository = {"owner", "repo"} <= names or "repository_id" in names
    if has_repository != (declared.resource == "repository"):
        return f"resource is {declared.resource!r}, but the path names {'a' if has_repository else 'no'} repository"
    if declared.resource == "account" and not names & _ACCOUNT_PARAMETERS:
        return f"resource is 'account', but the path has none of {sorted(_ACCOUNT_PARAMETERS)}"
    if declared.action.facts.resource is Resource.REPOSITORY and not has_repository:
        return f"{declared.action} is about a repository, but the path names none"
    return ""
