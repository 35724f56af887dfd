"""One place that turns an error into an answer: a designed page for people, GitHub's body for programs.

What is hidden and what is absent give the same answer. Domain code names families, only this file names HTTP statuses.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from cairn.base.errors import (
    CairnError,
    Conflict,
    FieldProblem,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    NotFoundHere,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from cairn.base.log import get_logger
from cairn.web.api import DOCUMENTATION_URL, JSON
from cairn.web.context import RequestContext, WebRequest, context_of
from cairn.web.costs import CostlyBusy
from cairn.web.render import render
from cairn.web.security import BodyTooSlow
from cairn.web.urls import sign_in_url

_STATUSES: tuple[tuple[type[CairnError], int, str], ...] = (
    (NotFound, 404, "Not Found"),
    (Unauthenticated, 401, "Please sign in"),
    (Forbidden, 403, "You may not do this"),
    (Conflict, 409, "Something changed meanwhile"),
    (Invalid, 422, "This cannot be accepted"),
    (BodyTooSlow, 408, "This came too slowly"),
    (Malformed, 400, "This request cannot be read"),
    (TooLarge, 413, "This is too large"),
    (RateLimited, 429, "Too many requests"),
    (Unavailable, 503, "Back in a moment"),
)
_LITESTAR_TITLES = {400: "This request cannot be read", 404: "Not Found", 405: "Method Not Allowed"}


@dataclass(frozen=True, slots=True)
class Explained:
    """An error as its answer tells it."""

    status: int
    title: str
    message: str
    problems: tuple[FieldProblem, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    """What is absent from a thing that the caller sees; only pages say it."""
    sign_in_helps: bool = False
    """Who is signed in may be answered: pages offer it."""


def explain(error: Exception) -> Explained:
    """Return status and words for any error; 500 without details for one nobody expected."""
    if isinstance(error, CairnError):
        for family, status, title in _STATUSES:
            if isinstance(error, family):
                return _explain_family(error, status, title)
    if isinstance(error, HTTPException):
        return _explain_litestar(error)
    return Explained(500, "Something broke", "This is our fault, and it has been logged.")


def _explain_family(error: CairnError, status: int, title: str) -> Explained:
    headers: dict[str, str] = {}
    if isinstance(error, RateLimited | Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    # Hidden equals absent: no message of a NotFound leaves the server.
    message = "Not Found" if isinstance(error, NotFound) else error.message
    problems = error.problems if isinstance(error, Invalid) else ()
    missing = error.message if isinstance(error, NotFoundHere) else ""
    sign_in_helps = status in {401, 403, 404} or isinstance(error, RateLimited | CostlyBusy)
    return Explained(status, title, message, problems, headers, missing, sign_in_helps)


def _explain_litestar(error: HTTPException) -> Explained:
    status = error.status_code
    if status >= 500:
        return Explained(500, "Something broke", "This is our fault, and it has been logged.")
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    if status == 404:
        return Explained(404, "Not Found", "Not Found", sign_in_helps=True)
    extra: Any = error.extra
    names = [str(item["key"]) for item in extra if isinstance(item, dict) and "key" in item] if extra else []
    message = (
        f"These parameters cannot be read: {', '.join(names)}." if names else _LITESTAR_TITLES.get(status, error.detail)
    )
    return Explained(status, _LITESTAR_TITLES.get(status, "This did not work"), message, headers=headers)


def handle_error(request: WebRequest, error: Exception) -> Response[Any]:
    """Return the answer to an error; an unexpected one is logged here, once, with the request id."""
    context = context_of(request)
    explained = explain(error)
    if explained.status == 500:
        get_logger(__name__).error("request_failed", method=request.method, path=context.path, exc_info=error)
    if context.is_api:
        return _answer_api(explained)
    return _answer_page(context, explained)


def _answer_api(explained: Explained) -> Response[Any]:
    body: dict[str, Any] = {"message": explained.message}
    if explained.problems:
        body["errors"] = [_api_problem(problem) for problem in explained.problems]
    body |= {"documentation_url": DOCUMENTATION_URL, "status": str(explained.status)}
    return Response(
        content=msgspec.json.encode(body), status_code=explained.status, headers=explained.headers, media_type=JSON
    )


def _api_problem(problem: FieldProblem) -> dict[str, str]:
    found = {"resource": problem.resource, "field": problem.field, "code": problem.code, "message": problem.message}
    return {name: value for name, value in found.items() if value or name in {"field", "code"}}


def _answer_page(context: RequestContext, explained: Explained) -> Response[Any]:
    is_anonymous = not context.actor.is_signed_in
    if explained.status == 401 and context.request.method in {"GET", "HEAD"}:
        return Response(content=b"", status_code=303, headers={"Location": sign_in_url(context.path_and_query)})
    return render(
        context,
        "web/error.html",
        status=explained.status,
        headers=explained.headers,
        error=explained,
        repository="/".join(context.path.split("/")[1:3]) if explained.missing else "",
        sign_in=sign_in_url(context.path_and_query) if is_anonymous and explained.sign_in_helps else "",
    )
