"""Pages of a history, and of one commit."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.types import show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.code_links import branch_links, crumbs
from cairn.repositories.code.diff_page import files_changed, first_file
from cairn.repositories.code.history_lists import authors_of, by_day
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.render import render
from cairn.web.routing import page


@page.get(
    "/{owner:str}/{repo:str}/commits",
    "/{owner:str}/{repo:str}/commits/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
)
async def commits(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    page: int = 1,  # noqa: A002, RUF100 (the parameter's public name)
) -> Response[Any]:
    """Show the history of a revision, or of one path in it, newest first."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    async with open_code(engine, repository.store_id) as code:
        if not code.snapshot.refs:
            return render(context, "repositories/empty.html", **header, has_refs=False)
        place = await code.place(address_of(context))
        found = await code.history(place, page=max(page, 1))
        branches = branch_links(code, header["base"], "commits")
    return render(
        context,
        "repositories/commits.html",
        **header,
        revision=place.revision,
        path=show(place.path),
        crumbs=crumbs(repository, header["base"], place),
        days=by_day(found.commits),
        authors=await authors_of(context, found.commits),
        branches=branches,
        number=max(page, 1),
        has_more=found.has_more,
    )


@page.get("/{owner:str}/{repo:str}/commit/{oid:str}", action=Action.REPOSITORY_READ, resource="repository")
async def commit(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, oid: str, skip: int = 0
) -> Response[Any]:
    """Show one commit: who, when, why, and what it changed, from the file after ``skip`` on."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    async with open_code(engine, repository.store_id) as code:
        revision = await code.revision(oid.encode())
        found = await code.commit(revision.commit_oid)
        diff = await code.diff(found, skip_files=first_file(skip))
    return render(
        context,
        "repositories/commit.html",
        **header,
        commit=found,
        authors=await authors_of(context, [found]),
        body=found.message.strip("\n").partition("\n\n")[2],
        **files_changed(context, diff, skip),
    )


route_handlers: list[HTTPRouteHandler] = [commits, commit]
