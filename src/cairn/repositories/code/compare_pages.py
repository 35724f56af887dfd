"""The page that compares two revisions: the commits that one has and the other has not, and the files they changed."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFoundHere
from cairn.git.engine import Engine
from cairn.git.types import show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.comparing import ComparisonUnknown, compare, read_sides
from cairn.repositories.code.diff_page import files_changed, first_file
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

COMMITS_SHOWN_MAX = 250
_NAMES_OFFERED_MAX = 200


@page.get("/{owner:str}/{repo:str}/compare", action=Action.REPOSITORY_READ, resource="repository")
async def choose_sides(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, base: str = "", head: str = ""
) -> Response[Any]:
    """Ask what to compare; with both named, lead to their comparison."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    base, head = base.strip(), head.strip()
    if base and head:
        return redirect(header["base"] + path_join("compare", f"{base}...{head}"))
    return await _form(context, header, engine, base, head)


async def _form(
    context: RequestContext, header: dict[str, Any], engine: Engine, base: str, head: str, problem: str = ""
) -> Response[Any]:
    async with open_code(engine, header["repository"].store_id) as code:
        first = await code.default_revision()
        names = [show(ref.name.split(b"/", 2)[2]) for ref in [*code.branches, *code.tags]]
    return render(
        context,
        "repositories/compare_form.html",
        status=404 if problem else 200,
        **header,
        names=names[:_NAMES_OFFERED_MAX],
        chosen_base=base or (first.label if first else ""),
        chosen_head=head,
        problem=problem,
    )


@page.get("/{owner:str}/{repo:str}/compare/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def comparison(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str, skip: int = 0
) -> Response[Any]:
    """Show ``base...head`` (what head did since they parted) or ``base..head`` (how the two differ)."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    wanted = address_of(context)
    try:
        async with open_code(engine, repository.store_id) as code:
            sides = await read_sides(code, wanted)
            found = await compare(code, sides, skip_files=first_file(skip))
            base, head = sides.base.commit_oid, sides.head.commit_oid
            commits = await code.commits_beyond(base, head, max_count=COMMITS_SHOWN_MAX)
    except (NotFoundHere, ComparisonUnknown) as error:
        left, _, right = show(wanted).partition("...")
        return await _form(context, header, engine, left, right, problem=error.message)
    return render(
        context,
        "repositories/compare.html",
        **header,
        sides=sides,
        found=found,
        commits=commits,
        authors=await authors_of(context, commits),
        base_href=header["base"] + path_join("tree", sides.base.name),
        head_href=header["base"] + path_join("tree", sides.head.name),
        other_href=header["base"]
        + path_join("compare", sides.base.name + (b"..." if sides.is_direct else b"..") + sides.head.name),
        swapped_href=header["base"]
        + path_join("compare", sides.head.name + (b".." if sides.is_direct else b"...") + sides.base.name),
        **files_changed(context, found.diff, skip),
    )


route_handlers: list[HTTPRouteHandler] = [choose_sides, comparison]
