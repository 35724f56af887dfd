"""The page that says of each line of a file which commit it is from."""

import asyncio
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.blame import Blame, BlamedCommit
from cairn.git.engine import Engine
from cairn.git.runner import GitTimedOut
from cairn.git.types import ObjectKind
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.code_links import code_url, crumbs
from cairn.repositories.code.file_pages import go_to_lines
from cairn.repositories.code.history_lists import authors_of_emails
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.shown_text import LINES_PER_PART, TextPart, line_address, read_part
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.text_files import read_text
from cairn.web.urls import path_join

AGES = 8
"""Shades from the oldest line of a page to the newest."""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that follow each other and are from one commit, as the page shows them."""

    start: int
    lines: list[Markup]
    commit: BlamedCommit
    age: int
    """0 for the newest of the page, AGES - 1 for the oldest."""
    before_href: str
    """The file as it was before this commit, at this place; empty where it began."""


def _groups(blame: Blame, part: TextPart, base: str) -> list[Group]:
    times = sorted(commit.author_seconds for commit in blame.commits.values())
    span = max(1, times[-1] - times[0]) if times else 1
    found = []
    for one in blame.lines:
        commit = blame.commits[one.oid]
        before = ""
        if commit.previous_oid is not None:
            before = base + path_join("blame", commit.previous_oid, commit.previous_path)
            before += line_address(one.original_start)
        age = (AGES - 1) * (times[-1] - commit.author_seconds) // span
        start = one.start - part.first
        found.append(Group(one.start, part.lines[start : start + one.count], commit, age, before))
    return found


@page.get(
    "/{owner:str}/{repo:str}/blame/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
@follows_branch_renames
async def blame(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    address: str,
    ignore: int = 1,
    first: int = 1,
    line: str = "",
) -> Response[Any]:
    """Show which commit each line is from; with ``ignore=0`` also those that the repository wants to be passed over.

    A long file is shown in parts: the one that begins at line ``first``, or that has ``line``.
    """
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    if line:
        return go_to_lines(context, line)
    header = header_of(context, actor, repository, "code")
    base = header["base"]
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        entry = await code.entry(place)
        if entry.kind is ObjectKind.TREE:
            return redirect(code_url(base, "tree", place.revision, place.path))
        file_href = code_url(base, "blob", place.revision, place.path)
        if entry.is_submodule:
            return redirect(file_href)
        content = await code.file(entry)
        text = None if content.data is None else await asyncio.to_thread(read_text, content.data)
        if text is None or content.is_binary or content.is_symlink or text.line_ends == "CR":
            return redirect(file_href)
        part = await read_part(code, content.oid, content.name, text, first=first)
        ignored = await code.ignored_revisions(place.revision)
        found: Blame | None = Blame([], {})
        if part.lines:
            span = None if part.is_whole else (part.first, part.last)
            try:
                found = await code.blame(place, ignored=ignored if ignore else [], lines=span)
            except GitTimedOut:
                found = None
    return render(
        context,
        "repositories/blame.html",
        status=200 if found else 503,
        **header,
        revision=place.revision,
        place_path=place.path,
        crumbs=crumbs(repository, base, place),
        content=content,
        part=part,
        lines_per_part=LINES_PER_PART,
        takes_too_long=found is None,
        groups=_groups(found, part, base) if found else [],
        ages=AGES,
        authors=await authors_of_emails(
            context, {commit.author_email for commit in found.commits.values()} if found else set()
        ),
        ignored_count=len(ignored),
        ignores=bool(ignore),
        file_href=file_href,
        history_href=code_url(base, "commits", place.revision, place.path),
        find_href=code_url(base, "find", place.revision, b""),
        permalink=path_join(repository.owner, repository.name, "blame", place.revision.commit_oid, place.path),
    )


route_handlers: list[HTTPRouteHandler] = [blame]
