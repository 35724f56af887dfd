"""What every API route of one repository shares: its address, finding the repository, following renames."""

import functools
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Response

from cairn.access.actions import Action
from cairn.base.clock import parse_moment
from cairn.base.errors import Conflict, FieldProblem, Invalid
from cairn.repositories.code.browse import Code
from cairn.repositories.code.revisions import Revision, RevisionNotFound
from cairn.repositories.queries import RepositoryMoved, RepositoryView, find_repository, find_repository_by_id
from cairn.repositories.serializers import API
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.routing import Handler, declaration_of
from cairn.web.urls import path_join

REPOSITORY = f"{API}/repos/{{owner:str}}/{{repo:str}}"
BY_ID = f"{API}/repositories/{{repository_id:int}}"
_TEXT_CHARACTERS_MAX = 200
_PARTS_BEFORE_REST = 6
"""``/api/v3/repos/owner/name`` has six parts, the empty one in front included."""
_PARTS_OF_BASE = 3


class RepositoryEmpty(Conflict):
    """There is no commit yet, so there is nothing to read."""

    def __init__(self) -> None:
        super().__init__("Git Repository is empty.")


class ParameterRefused(Invalid):
    """A query parameter has a value that means nothing, or asks for what is not offered."""


def follows_renames(handler: Handler) -> Handler:
    """Answer requests under a repository's old name with a redirect that keeps the method and the rest.

    Source: GitHub redirects to ``/repositories/{id}``; what lies below goes to the same place under the new name.
    """

    @functools.wraps(handler)
    async def run(**parameters: Any) -> Any:  # noqa: ANN401 (whatever the handler takes and answers)
        try:
            return await handler(**parameters)
        except RepositoryMoved as moved:
            return _moved(parameters["context"], moved)

    return run


def _moved(context: RequestContext, moved: RepositoryMoved) -> ApiAnswer:
    parts = context.path.split("/")
    rest = "/".join(parts[_PARTS_BEFORE_REST:])
    # The API's own base, or that of uploads.
    base = context.settings.origin + "/".join(parts[:_PARTS_OF_BASE])
    target = f"{base}/repositories/{moved.repository_id}"
    if rest:
        target = f"{base}/repos{path_join(moved.owner, moved.name)}/{rest}"
    _, mark, query = context.path_and_query.partition("?")
    target += mark + query
    return moved_permanently(target, status=301 if context.request.method in {"GET", "HEAD"} else 307)


def moved_permanently(target: str, *, status: int = 301) -> ApiAnswer:
    """Return GitHub's answer for what has another address now."""
    body = {"message": "Moved Permanently", "url": target, "documentation_url": "https://docs.github.com/rest"}
    return ApiAnswer(body, status, {"Location": target})


async def read_repository(
    context: RequestContext, owner: str, repo: str, action: Action = Action.REPOSITORY_READ
) -> RepositoryView:
    """Return the repository of a request, in a transaction that is over when git is read; pay what the route costs."""
    async with context.site.database.read() as session:
        found = await find_repository(session, context.actor, owner, repo, action)
    declared = declaration_of(context.request.scope)
    assert declared is not None, "every operation declares itself"
    await context.pay(declared.cost)
    return found


async def read_repository_by_id(context: RequestContext, repository_id: int) -> RepositoryView:
    """Return a repository by its number."""
    async with context.site.database.read() as session:
        return await find_repository_by_id(session, context.actor, repository_id)


def rest_of_path(context: RequestContext, after: str) -> bytes:
    """Return what follows ``/repos/{owner}/{repo}/{after}/`` as bytes: paths and ref names have no encoding."""
    parts = context.path.split("/")[_PARTS_BEFORE_REST + 1 + after.count("/") :]
    return b"/".join(unquote_to_bytes(part) for part in parts).strip(b"/")


def query_bytes(context: RequestContext, name: str) -> bytes:
    """Return a query parameter that names a ref or a path, as bytes; empty if it is absent."""
    value: str = context.request.query_params.get(name, "")
    return value.encode("utf-8", "surrogateescape").strip(b"/")


def query_text(context: RequestContext, name: str) -> str:
    """Return a query parameter that is mere text, at most 200 characters of it; empty if it is absent."""
    value: str = context.request.query_params.get(name, "")
    return value.strip()[:_TEXT_CHARACTERS_MAX].replace("\0", "")


async def revision_named(code: Code, name: bytes) -> Revision:
    """Return the commit a client names: branch, tag, commit id, ``HEAD``, ``heads/…``, ``tags/…`` or a full ref name.

    The empty name is the default branch. RevisionNotFound otherwise.
    """
    if name in {b"", b"HEAD"}:
        return (await code.place(b"")).revision
    try:
        return await code.revision(name)
    except RevisionNotFound:
        if not name.startswith((b"heads/", b"tags/")):
            raise
        return await code.revision(b"refs/" + name)


def media_type_of(kind: str) -> str:
    """Return one of GitHub's media types by its short name (``raw``, ``diff``, ``patch``, ``sha``)."""
    return f"application/vnd.github.{kind}; charset=utf-8"


def plain(data: bytes, kind: str) -> Response[bytes]:
    """Return bytes as one of GitHub's media types."""
    return Response(content=data, media_type=media_type_of(kind))


def choose(context: RequestContext, name: str, allowed: dict[str, Any], default: str) -> Any:  # noqa: ANN401 (the dict's)
    """Return what ``allowed`` has for a query parameter; ParameterRefused names what is allowed."""
    value = context.request.query_params.get(name, default)
    if value not in allowed:
        raise refused(name, f"{name} must be one of: {', '.join(allowed)}.")
    return allowed[value]


def read_moment(context: RequestContext, name: str) -> datetime | None:
    """Return a time of the query (ISO 8601, UTC unless it says otherwise); ParameterRefused if it is none."""
    value: Any = context.request.query_params.get(name)
    if value is None:
        return None
    try:
        # A plus sign of an offset arrives as a blank unless it was encoded.
        return parse_moment(value.replace(" ", "+") if "T" in value else value)
    except ValueError:
        raise refused(name, f"{name} must be a time such as 2024-01-02T03:04:05Z.") from None


def refuse_parameters(context: RequestContext, *names: str) -> None:
    """Return if none of these parameters is given: an ignored filter would answer with what was not asked for."""
    for name in names:
        if name in context.request.query_params:
            raise refused(name, f"{name} is not offered here.")


def refused(name: str, message: str) -> ParameterRefused:
    """Return the error for one parameter."""
    return ParameterRefused(f"Invalid request.\n\n{message}", FieldProblem(name, "invalid", message))
