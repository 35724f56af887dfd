"""Addresses with a branch's old name send on to the new one, with the path and the rest kept."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from litestar import Response

from cairn.access.actions import Action
from cairn.repositories.api_routes import moved_permanently, query_bytes
from cairn.repositories.branch_renames import Renamed, find_renamed_branch
from cairn.repositories.code.revisions import RevisionNotFound
from cairn.repositories.page_frame import address_of
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.render import redirect
from cairn.web.routing import Handler
from cairn.web.urls import path_join

_VERB = 3
"""``/{owner}/{repo}/{verb}/...``: where the verb stands among an address's parts."""

_Elsewhere = Callable[[RequestContext, RepositoryView], Awaitable[Any]]
"""Returns the redirect of a request whose revision is not there; None if no branch was called so."""


def follows_branch_renames(handler: Handler) -> Handler:
    """Answer a page whose revision is not there with a redirect, if a branch was called so; for now only, as GitHub."""
    return _follow(handler, _page_elsewhere)


def follows_renamed_ref(handler: Handler) -> Handler:
    """Answer an operation whose ``ref`` is not there with a redirect, if a branch was called so; 301 as GitHub's."""
    return _follow(handler, _operation_elsewhere)


def _follow(handler: Handler, elsewhere: _Elsewhere) -> Handler:
    @functools.wraps(handler)
    async def run(**parameters: Any) -> Any:  # noqa: ANN401 (whatever the handler takes and answers)
        try:
            return await handler(**parameters)
        except RevisionNotFound:
            context: RequestContext = parameters["context"]
            async with context.site.database.read() as session:
                owner, repo = parameters["owner"], parameters["repo"]
                repository = await find_repository(session, context.actor, owner, repo, Action.REPOSITORY_READ)
            answer = await elsewhere(context, repository)
            if answer is None:
                raise
            return answer

    return run


async def _page_elsewhere(context: RequestContext, repository: RepositoryView) -> Response[Any] | None:
    address = await renamed_address(context, repository, address_of(context))
    if address is None:
        return None
    _, mark, query = context.path_and_query.partition("?")
    target = path_join(repository.owner, repository.name, context.path.split("/")[_VERB], address) + mark + query
    # Not for good: a new branch may take the old name.
    return redirect(target, status=302)


async def _operation_elsewhere(context: RequestContext, repository: RepositoryView) -> ApiAnswer | None:
    present = await renamed_revision(context, repository, query_bytes(context, "ref"))
    if present is None:
        return None
    rest = [pair for pair in context.request.query_params.multi_items() if pair[0] != "ref"]
    return moved_permanently(f"{context.settings.origin}{context.path}?{urlencode([*rest, ('ref', present)])}")


async def renamed_address(context: RequestContext, repository: RepositoryView, address: bytes) -> bytes | None:
    """Return an address under the present name of the branch that was called as it begins; None if none was.

    The caller has proved that the repository may be read.
    """
    found = await _find(context, repository, address)
    return None if found is None else b"/".join(filter(None, (found.branch, found.rest)))


async def renamed_revision(context: RequestContext, repository: RepositoryView, name: bytes) -> bytes | None:
    """Return what a branch is called now that was called so; short names, ``heads/…`` and full ones stay what they are.

    None if no branch was. The caller has proved that the repository may be read.
    """
    prefix = next((one for one in (b"refs/heads/", b"heads/") if name.startswith(one)), b"")
    found = await _find(context, repository, name.removeprefix(prefix))
    return None if found is None or found.rest else prefix + found.branch


async def _find(context: RequestContext, repository: RepositoryView, address: bytes) -> Renamed | None:
    return await find_renamed_branch(
        context.site.database,
        context.site.engine,
        repository_id=repository.id,
        store_id=repository.store_id,
        address=address,
    )
