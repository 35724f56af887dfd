"""Pages that list branches and tags."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.engine import Engine
from cairn.git.types import show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.code_links import code_url
from cairn.repositories.code.revisions import Revision, RevisionKind
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.render import render
from cairn.web.routing import page
from cairn.web.urls import path_join


@dataclass(frozen=True, slots=True)
class RefRow:
    """A branch or tag with the commit it means."""

    name: str
    href: str
    subject: str
    commit_href: str
    at: datetime
    is_default: bool
    compare_href: str


@page.get("/{owner:str}/{repo:str}/branches", action=Action.REPOSITORY_READ, resource="repository")
async def branches(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> Response[Any]:
    """Show every branch, the default first, then by last commit."""
    return await _show_refs(context, actor, engine, owner, repo, "branches")


@page.get("/{owner:str}/{repo:str}/tags", action=Action.REPOSITORY_READ, resource="repository")
async def tags(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> Response[Any]:
    """Show every tag, newest first."""
    return await _show_refs(context, actor, engine, owner, repo, "tags")


_REFS_SHOWN_MAX = 1000


async def _show_refs(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    what: Literal["branches", "tags"],
) -> Response[Any]:
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, what)
    base = header["base"]
    async with open_code(engine, repository.store_id) as code:
        refs = code.branches if what == "branches" else code.tags
        prefix = b"refs/heads/" if what == "branches" else b"refs/tags/"
        kind = RevisionKind.BRANCH if what == "branches" else RevisionKind.TAG
        rows: list[RefRow] = []
        for ref in refs[:_REFS_SHOWN_MAX]:
            name = ref.name.removeprefix(prefix)
            try:
                found = await code.commit(ref.peeled or ref.oid)
            except NotFound:
                continue  # a tag may name a tree or a file, which has no page of its own
            revision = Revision(kind, name, found.oid)
            rows.append(
                RefRow(
                    show(name),
                    code_url(base, "tree", revision, b""),
                    found.subject,
                    f"{base}/commit/{found.oid}",
                    found.committer.at,
                    ref.name == repository.head_target,
                    base + path_join("compare", name),
                )
            )
    rows.sort(key=lambda row: (row.is_default, row.at), reverse=True)
    return render(context, "repositories/refs.html", **header, what=what, rows=rows, total=len(refs))


route_handlers: list[HTTPRouteHandler] = [branches, tags]
