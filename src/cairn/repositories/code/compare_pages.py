"""The page that compares two revisions: the commits that one has and the other has not, and the files they changed."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFoundHere
from cairn.git.engine import Engine
from cairn.git.types import show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.comparing import ComparisonUnknown, relate, where_parted
from cairn.repositories.code.diff_page import TwoCommits, answer_part, changes
from cairn.repositories.code.diff_request import read_diff_request
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.patch_answer import PLAIN, answer_text, comparison_text, read_sides_and_form
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import redirect, render, render_around
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


@page.get(
    "/{owner:str}/{repo:str}/compare/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
async def comparison(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str
) -> Response[Any] | Stream:
    """Show ``base...head`` (what head did since they parted) or ``base..head`` (how the two differ); or a part of what
    changed (``diff_request``)."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    wanted = address_of(context)
    asked = read_diff_request(context)
    try:
        async with open_code(engine, repository.store_id) as code:
            sides, form = await read_sides_and_form(code, wanted)
            if form is not None:
                return await answer_text(context, await comparison_text(code, sides, form), media_type=PLAIN)
            base, head = sides.base.commit_oid, sides.head.commit_oid
            if asked.is_part:
                old, _ = await where_parted(code, sides)
                compared = TwoCommits(base=header["base"], old=old, new=head)
                return answer_part(changes(context, engine, repository.store_id, compared, asked))
            found = await relate(code, sides)
            commits = await code.commits_beyond(base, head, max_count=COMMITS_SHOWN_MAX)
            signatures = await signatures_of(context, code, [commit.oid for commit in commits])
    except (NotFoundHere, ComparisonUnknown) as error:
        left, _, right = show(wanted).partition("...")
        return await _form(context, header, engine, left, right, problem=error.message)
    compared = TwoCommits(base=header["base"], old=found.old, new=head)
    return render_around(
        context,
        "repositories/compare.html",
        changes(context, engine, repository.store_id, compared, asked),
        name="changes",
        **header,
        sides=sides,
        found=found,
        commits=commits,
        signatures=signatures,
        authors=await authors_of(context, commits),
        base_href=header["base"] + path_join("tree", sides.base.name),
        head_href=header["base"] + path_join("tree", sides.head.name),
        other_href=header["base"]
        + path_join("compare", sides.base.name + (b"..." if sides.is_direct else b"..") + sides.head.name),
        swapped_href=header["base"]
        + path_join("compare", sides.head.name + (b".." if sides.is_direct else b"...") + sides.base.name),
    )


route_handlers: list[HTTPRouteHandler] = [choose_sides, comparison]
