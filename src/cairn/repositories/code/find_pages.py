"""The finder: a file by some letters of its path. A form that works by itself; a script makes it instant."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.path_list import PATHS_MAX
from cairn.git.reading import ObjectNotFound
from cairn.git.types import ObjectKind, Oid
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.code_links import code_url, crumbs
from cairn.repositories.code.fuzzy import MATCHES_MAX, Match, find_paths
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.revisions import Place
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.api import etag_matches
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import render
from cairn.web.routing import page


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A path that was found, as pieces that matched or did not, and where its file is shown."""

    pieces: list[tuple[str, bool]]
    href: str


@page.get(
    "/{owner:str}/{repo:str}/find/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
@follows_branch_renames
async def find(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str, q: str = ""
) -> Response[Any]:
    """Show the files of a revision, or of a folder in it, whose paths have the letters of ``q``, the best first."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    base = header["base"]
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        paths = await code.paths(await _tree(code, place))
    found = await asyncio.to_thread(lambda: find_paths(paths.text(), q))
    return render(
        context,
        "repositories/find.html",
        **header,
        revision=place.revision,
        place_path=place.path,
        crumbs=crumbs(repository, base, place),
        query=q,
        files=[_file(base, place, match) for match in found.matches],
        total=found.total,
        matches_max=MATCHES_MAX,
        paths_max=PATHS_MAX,
        path_count=paths.count,
        is_truncated=paths.is_truncated,
        paths_href=code_url(base, "paths", place.revision, place.path),
        blob_href=code_url(base, "blob", place.revision, place.path),
    )


def _file(base: str, place: Place, match: Match) -> FoundFile:
    path = unquote_to_bytes(match.path)
    href = code_url(base, "blob", place.revision, place.path + b"/" + path if place.path else path)
    return FoundFile([(text.replace("%25", "%"), is_match) for text, is_match in match.pieces], href)


@page.get("/{owner:str}/{repo:str}/paths/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def paths(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str
) -> Response[Any]:
    """Answer all paths of a revision, or of a folder in it, as text, one a line (see ``git.path_list``)."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    headers = {"Vary": "Accept-Encoding", "Content-Type": "text/plain; charset=utf-8"}
    async with open_code(engine, repository.store_id) as code:
        tree = await _tree(code, await code.place(address_of(context)))
        headers["ETag"] = f'W/"{tree}"'
        asked = context.request.headers.get("if-none-match", "")
        if asked and etag_matches(asked, headers["ETag"]):
            return Response(content=b"", status_code=304, headers=headers)
        found = await code.paths(tree)
    if "gzip" in context.request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(content=found.packed, headers=headers)
    text = await asyncio.to_thread(found.text)
    return Response(content=text, headers=headers)


async def _tree(code: Code, place: Place) -> Oid:
    entry = await code.entry(place)
    if entry.kind is not ObjectKind.TREE:
        raise ObjectNotFound("this is a file, not a folder")
    return entry.oid


route_handlers: list[HTTPRouteHandler] = [find, paths]
