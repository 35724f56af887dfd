"""Pages of a history, of one commit, and of the branches and tags that contain it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.containing import read_containing
from cairn.git.engine import Engine
from cairn.git.reading import Commit
from cairn.git.runner import GitTimedOut
from cairn.git.trailers import read_trailers
from cairn.git.types import show
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.code_links import crumbs
from cairn.repositories.code.diff_page import TwoCommits, answer_part, changes
from cairn.repositories.code.diff_request import read_diff_request
from cairn.repositories.code.history_filter import HistoryFilter, choose, read_filter
from cairn.repositories.code.history_lists import authors_of, by_day, people_of
from cairn.repositories.code.patch_answer import PLAIN, answer_text, commit_text, split_form
from cairn.repositories.code.path_history import HistoryPage, Segment, read_cursor, read_history
from cairn.repositories.code.ref_lists import HEADS, TAGS
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.revisions import Place
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.fork_progress import show_empty
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import render, render_around
from cairn.web.routing import page
from cairn.web.urls import path_join

_CONTAINING_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the page during which a file had one name, by day."""

    path: str
    days: list[tuple[str, list[Commit]]]
    renamed_to: str
    renamed_in: str
    href: str
    """The history under this name alone."""


@page.get(
    "/{owner:str}/{repo:str}/commits",
    "/{owner:str}/{repo:str}/commits/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
@follows_branch_renames
async def commits(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, after: str = ""
) -> Response[Any]:
    """Show the history of a revision, or of one path in it across renames, newest first, from ``after`` on."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    wanted = read_filter(context)
    chosen = await choose(context, wanted)
    async with open_code(engine, repository.store_id) as code:
        if not code.snapshot.refs:
            return await show_empty(context, header, has_refs=False)
        place = await code.place(address_of(context))
        try:
            found, takes_too_long = await read_history(code, place, chosen, read_cursor(after)), False
        except GitTimedOut:
            found, takes_too_long = HistoryPage([], None), True
        signatures = await signatures_of(context, code, [commit.oid for commit in found.commits])
    base = header["base"]
    return render(
        context,
        "repositories/commits.html",
        status=422 if wanted.problems else 200,
        **header,
        revision=place.revision,
        path=show(place.path),
        place_path=place.path,
        crumbs=crumbs(repository, base, place),
        stretches=[_stretch(base, place, segment) for segment in found.segments],
        signatures=signatures,
        authors=await authors_of(context, found.commits),
        people_of=people_of,
        wanted=wanted,
        history_href=base + path_join("commits", place.revision.name, *_parts(place.path)),
        older=_older(base, place, wanted, found),
        is_first=read_cursor(after) is None,
        takes_too_long=takes_too_long,
    )


def _parts(path: bytes) -> tuple[bytes, ...]:
    return (path,) if path else ()


def _stretch(base: str, place: Place, segment: Segment) -> Stretch:
    href = ""
    if segment.commits:
        href = base + path_join("commits", segment.commits[0].oid, *_parts(segment.path))
    return Stretch(
        show(segment.path), by_day(segment.commits), show(segment.renamed_to), segment.renamed_in or "", href
    )


def _older(base: str, place: Place, wanted: HistoryFilter, found: HistoryPage) -> str:
    """Return the address of older commits with what was chosen; empty where there are none."""
    if found.following is None:
        return ""
    query = {
        "author": wanted.author,
        "message": wanted.message,
        "since": wanted.since,
        "until": wanted.until,
        "first_parent": "1" if wanted.first_parent else "",
        "after": str(found.following),
    }
    path = path_join("commits", place.revision.name, *_parts(found.following_path))
    return f"{base}{path}?{urlencode({name: value for name, value in query.items() if value})}"


@page.get(
    "/{owner:str}/{repo:str}/commit/{oid:str}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
async def commit(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, oid: str
) -> Response[Any] | Stream:
    """Show one commit: who, when, why, and what it changed; or a part of that (``diff_request``); or, with ``.diff`` or
    ``.patch`` after its id, that as text."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    name, form = split_form(oid)
    async with open_code(engine, repository.store_id) as code:
        revision = await code.revision(name.encode())
        found = await code.commit(revision.commit_oid)
        if form is not None:
            return await answer_text(context, commit_text(code, found, form), media_type=PLAIN)
        signatures = await signatures_of(context, code, [found.oid])
    parent = found.parent_oids[0] if found.parent_oids else None
    sides = TwoCommits(base=header["base"], old=parent, new=found.oid)
    asked = read_diff_request(context)
    changed = changes(context, engine, repository.store_id, sides, asked)
    if asked.is_part:
        return answer_part(changed)
    return render_around(
        context,
        "repositories/commit.html",
        changed,
        name="changes",
        **header,
        commit=found,
        signatures=signatures,
        authors=await authors_of(context, [found]),
        people=people_of(found),
        trailers=_shown_trailers(found),
        body=found.message.strip("\n").partition("\n\n")[2],
    )


def _shown_trailers(commit: Commit) -> list[tuple[str, str]]:
    """Return the trailers that a page shows apart; who wrote it too stands beside the author already."""
    return [(name, value) for name, value in read_trailers(commit.message) if name.lower() != "co-authored-by"]


@page.get(
    "/{owner:str}/{repo:str}/commit/{oid:str}/refs",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
async def containing(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, oid: str
) -> Response[Any]:
    """Show which branches and tags contain a commit."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    async with open_code(engine, repository.store_id) as code:
        revision = await code.revision(oid.encode())
        found = await code.commit(revision.commit_oid)
        names = await _containing(code, found)
    return render(
        context,
        "repositories/commit_refs.html",
        **header,
        commit=found,
        is_known=names is not None,
        groups=_groups(header["base"], names or []),
    )


async def _containing(code: Code, commit: Commit) -> list[bytes] | None:
    """Return the full names of branches and tags that contain a commit; None if it takes too long to find out."""
    refs = [ref for ref in code.snapshot.refs if ref.name.startswith((HEADS, TAGS))]
    engine, state, view = code.parts
    try:
        tips = await read_containing(
            engine, state, view, commit=commit.oid, tips=[ref.peeled or ref.oid for ref in refs]
        )
    except GitTimedOut:
        return None
    return [ref.name for ref in refs if (ref.peeled or ref.oid) in tips]


def _groups(base: str, names: list[bytes]) -> list[dict[str, Any]]:
    groups = []
    for title, icon_name, prefix in (("Branches", "git-branch", HEADS), ("Tags", "tag", TAGS)):
        own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        links = [(show(name), base + path_join("tree", name)) for name in own[:_CONTAINING_SHOWN_MAX]]
        groups.append({"title": title, "icon": icon_name, "links": links, "total": len(own)})
    return groups


route_handlers: list[HTTPRouteHandler] = [commits, commit, containing]
