"""Pages of folders: entries, what changed each of them last, the README; the repository's home is its root's."""

from dataclasses import dataclass
from typing import Any, Literal

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.last_commits import LastCommits
from cairn.git.reading import TreeEntry
from cairn.git.types import ObjectKind, show
from cairn.repositories.code.browse import COUNTED_COMMITS_MAX, Code, Folder, open_code
from cairn.repositories.code.code_links import branch_links, code_url, crumbs
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.rendered_files import read_readme
from cairn.repositories.code.revisions import Place
from cairn.repositories.fork_progress import show_empty, sync_banner
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.render import ago, redirect, render
from cairn.web.routing import page

_PATIENCE_SECONDS = 0.25
"""So long a page waits for the column of last commits; a browser asks for the rest by itself."""


@dataclass(slots=True)
class Row:
    """One row of a folder table; see ``tree_rows`` in the components."""

    name: str
    href: str
    kind: Literal["folder", "file", "symlink", "submodule"]
    message: str = ""
    message_href: str = ""
    when: Markup | str = ""


@page.get("/{owner:str}/{repo:str}", action=Action.REPOSITORY_READ, resource="repository")
async def home(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, wait: int = 0
) -> Response[Any]:
    """Show the default branch's root, its README and how to clone; how to begin while there is nothing."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code") | await sync_banner(context, actor, engine, repository)
    async with open_code(engine, repository.store_id) as code:
        revision = await code.default_revision()
        if revision is None:
            return await show_empty(context, header, has_refs=bool(code.snapshot.refs))
        return await _show_folder(context, header, code, Place(revision, b""), is_home=True, waits=bool(wait))


@page.get("/{owner:str}/{repo:str}/tree/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def folder(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str, wait: int = 0
) -> Response[Any]:
    """Show a folder of a revision; a file's address is sent on to the file."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        return await _show_folder(context, header, code, place, is_home=False, waits=bool(wait))


async def _show_folder(
    context: RequestContext, header: dict[str, Any], code: Code, place: Place, *, is_home: bool, waits: bool
) -> Response[Any]:
    """Return the page of a folder, or the redirect to a file; with ``waits`` its last commits are there for certain.

    Without it the page may come before they are known, and tells the browser to ask again with ``wait=1``.
    """
    base, repository = header["base"], header["repository"]
    entry = await code.entry(place)
    if entry.kind is not ObjectKind.TREE:
        return redirect(code_url(base, "blob", place.revision, place.path))
    found: Folder = await code.folder(entry)
    latest = (await code.history(place, page=1, per_page=1)).commits
    last = None
    if latest:
        last = await code.last_commits(place.path, latest[0].oid, patience_seconds=None if waits else _PATIENCE_SECONDS)
    readme = None
    if found.readme is not None:
        readme = await read_readme(context, base, place, found.readme)
    count = await code.count_commits(place.revision) if is_home else None
    parent = ""
    if place.path:
        parent = code_url(base, "tree", place.revision, place.path.rpartition(b"/")[0])
    return render(
        context,
        "repositories/folder.html",
        **header,
        is_home=is_home,
        revision=place.revision,
        crumbs=crumbs(repository, base, place),
        rows=_rows(context, base, place, found.entries, last),
        is_waited_for=last is None and bool(latest),
        parent=parent,
        latest=latest[0] if latest else None,
        authors=await authors_of(context, latest),
        readme=readme,
        readme_name=show(found.readme.name) if found.readme else "",
        branches=branch_links(code, base, "tree"),
        branch_count=len(code.branches),
        tag_count=len(code.tags),
        commit_count=count,
        counted_max=COUNTED_COMMITS_MAX,
        history_href=code_url(base, "commits", place.revision, place.path),
    )


def _rows(
    context: RequestContext, base: str, place: Place, entries: list[TreeEntry], last: LastCommits | None
) -> list[Row]:
    now = context.site.clock()
    rows = []
    for entry in entries:
        row = _row(base, place, entry)
        if last is not None and (commit := last.of(entry.name)) is not None:
            row.message, row.message_href = commit.subject, f"{base}/commit/{commit.oid}"
            row.when = ago(commit.at, now)
        rows.append(row)
    return rows


def _row(base: str, place: Place, entry: TreeEntry) -> Row:
    path = place.path + b"/" + entry.name if place.path else entry.name
    kind: Literal["folder", "file", "symlink", "submodule"] = "file"
    verb = "blob"
    if entry.kind is ObjectKind.TREE:
        kind, verb = "folder", "tree"
    elif entry.is_submodule:
        return Row(
            f"{show(entry.name)} @ {entry.oid[:10]}", code_url(base, "tree", place.revision, place.path), "submodule"
        )
    elif entry.mode == 0o120000:
        kind = "symlink"
    return Row(show(entry.name), code_url(base, verb, place.revision, path), kind)


route_handlers: list[HTTPRouteHandler] = [home, folder]
