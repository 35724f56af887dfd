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
from cairn.git.types import ObjectKind, show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.code_links import code_url, crumbs
from cairn.repositories.code.history_lists import authors_of_emails
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.highlight import highlight_lines
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

AGES = 8
"""Shades from the oldest line of a file to the newest."""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that follow each other and are from one commit, as the page shows them."""

    start: int
    lines: list[Markup]
    commit: BlamedCommit
    age: int
    """0 for the newest of the file, AGES - 1 for the oldest."""
    before_href: str
    """The file as it was before this commit, at this place; empty where it began."""


def _groups(blame: Blame, lines: list[Markup], base: str) -> list[Group]:
    times = sorted(commit.author_seconds for commit in blame.commits.values())
    span = max(1, times[-1] - times[0]) if times else 1
    found = []
    for one in blame.lines:
        commit = blame.commits[one.oid]
        before = ""
        if commit.previous_oid is not None:
            before = f"{base}{path_join('blame', commit.previous_oid, commit.previous_path)}#L{one.original_start}"
        age = (AGES - 1) * (times[-1] - commit.author_seconds) // span
        found.append(Group(one.start, lines[one.start - 1 : one.start - 1 + one.count], commit, age, before))
    return found


@page.get("/{owner:str}/{repo:str}/blame/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def blame(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str, ignore: int = 1
) -> Response[Any]:
    """Show which commit each line is from; with ``ignore=0`` also those that the repository wants to be passed over."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    base = header["base"]
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        entry = await code.entry(place)
        if entry.kind is ObjectKind.TREE:
            return redirect(code_url(base, "tree", place.revision, place.path))
        content = await code.file(entry)
        if content.data is None or content.is_binary or content.is_symlink:
            return redirect(code_url(base, "blob", place.revision, place.path))
        ignored = await code.ignored_revisions(place.revision)
        found = await code.blame(place, ignored=ignored if ignore else [])
    lines = await asyncio.to_thread(highlight_lines, content.data, show(content.name))
    groups = _groups(found, lines, base)
    return render(
        context,
        "repositories/blame.html",
        **header,
        revision=place.revision,
        crumbs=crumbs(repository, base, place),
        content=content,
        line_count=len(lines),
        groups=groups,
        authors=await authors_of_emails(context, {commit.author_email for commit in found.commits.values()}),
        ignored_count=len(ignored),
        ignores=bool(ignore),
        file_href=code_url(base, "blob", place.revision, place.path),
        history_href=code_url(base, "commits", place.revision, place.path),
    )


route_handlers: list[HTTPRouteHandler] = [blame]
