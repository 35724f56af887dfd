"""The page that searches the files of one revision."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.git.blob_search import FoundFile
from cairn.git.engine import Engine
from cairn.git.types import show
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.code_links import code_url
from cairn.repositories.code.code_search import FoundCode, page_of, read_query, search_code
from cairn.repositories.code.revisions import Revision, RevisionNotFound
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.web.api import read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import render
from cairn.web.routing import page

FILES_PER_PAGE = 20
NAMES_SHOWN = 10


@page.get("/{owner:str}/{repo:str}/search", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.CONTENT)
async def search(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    q: str = "",
    ref: str = "",
    regex: int = 0,
    case: int = 0,
) -> Response[Any]:
    """Show the files of a revision that hold what is searched for, or are called so; the form alone without words."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    shown: dict[str, Any] = {"found": None, "problem": "", "revision": None, "searched_names": [], "rows": []}
    async with open_code(engine, repository.store_id) as code:
        try:
            revision = await _revision(code, ref)
            shown["revision"] = revision
            if q.strip() and revision is not None:
                query = read_query(q, is_regex=bool(regex), is_case_sensitive=bool(case))
                commit = await code.commit(revision.commit_oid)
                seconds = context.settings.search_seconds
                state = code.parts[1]
                found = await search_code(engine, state, commit.tree_oid, query, deadline_seconds=seconds)
                shown |= _shown(context, header["base"], revision, found)
        except (Invalid, RevisionNotFound) as error:
            shown["problem"] = error.message
    return render(
        context,
        "repositories/search.html",
        status=422 if shown["problem"] else 200,
        **header,
        **shown,
        q=q,
        ref=ref,
        is_regex=bool(regex),
        is_case_sensitive=bool(case),
        seconds=context.settings.search_seconds,
        is_empty=not code.snapshot.refs,
    )


async def _revision(code: Code, ref: str) -> Revision | None:
    """Return the revision to search: the one that is named, else the default branch, None while that is unborn."""
    if not ref:
        return await code.default_revision()
    return await code.revision(ref.encode("utf-8", "surrogateescape"))


def _shown(context: RequestContext, base: str, revision: Revision, found: FoundCode) -> dict[str, Any]:
    asked = read_page(context).page
    files, has_more = page_of(found, page=asked, per_page=FILES_PER_PAGE)
    return {
        "found": found,
        "number": asked,
        "has_more": has_more,
        "results": [_result(base, revision, file) for file in files],
        "searched_names": [
            (code_url(base, "blob", revision, name.path), name.pieces) for name in found.names[:NAMES_SHOWN]
        ]
        if asked == 1
        else [],
    }


def _result(base: str, revision: Revision, file: FoundFile) -> dict[str, Any]:
    href = code_url(base, "blob", revision, file.path)
    return {"href": href, "path": show(file.path), "file": file}


route_handlers: list[HTTPRouteHandler] = [search]
