"""Pages of folders: entries, what changed each of them last, the README; the repository's home is its root's."""

from dataclasses import dataclass
from typing import Any, Literal

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.folder_listing import ENTRIES_PER_PART, FolderEntry
from cairn.git.last_commits import LastCommits
from cairn.git.reading import EXECUTABLE_MODE, FOLDER_MODE, SUBMODULE_MODE, SYMLINK_MODE
from cairn.git.types import ObjectKind, show
from cairn.repositories.code.browse import COUNTED_COMMITS_MAX, Code, Folder, open_code
from cairn.repositories.code.code_links import archive_url, code_url, crumbs, edit_url, link_href
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.rendered_files import render_readme
from cairn.repositories.code.revisions import Place
from cairn.repositories.code.submodules import read_submodules, submodule_href
from cairn.repositories.fork_progress import show_empty, sync_banner
from cairn.repositories.languages.bar import language_shares
from cairn.repositories.languages.recorded import load_languages
from cairn.repositories.life.licence_of import licence_name
from cairn.repositories.life.licences import name_of
from cairn.repositories.mirrors.edit import load_pull_mirror
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.queries import ReleaseView, find_latest
from cairn.web.context import RequestContext
from cairn.web.render import ago, redirect, render
from cairn.web.routing import page

_PATIENCE_SECONDS = 0.25
"""So long a page waits for the column of last commits; a browser asks for the rest by itself."""

Kind = Literal["folder", "file", "symlink", "submodule"]
_KINDS: dict[int, Kind] = {FOLDER_MODE: "folder", SUBMODULE_MODE: "submodule", SYMLINK_MODE: "symlink"}


@dataclass(slots=True)
class Row:
    """One row of a folder table; see ``tree_rows`` in the components.

    ``lead`` stands before the name, ``aside`` behind it: where a link points, which commit a submodule is at;
    ``aside_href`` may lead there.
    """

    name: str
    href: str
    kind: Kind
    lead: str = ""
    aside: str = ""
    aside_href: str = ""
    is_executable: bool = False
    message: str = ""
    message_href: str = ""
    when: Markup | str = ""


@page.get("/{owner:str}/{repo:str}", action=Action.REPOSITORY_READ, resource="repository", is_versioned=True)
async def home(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, wait: int = 0, skip: int = 0
) -> Response[Any]:
    """Show the default branch's root, its README and how to clone; how to begin while there is nothing."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code") | await sync_banner(context, actor, engine, repository)
    header["mirror"] = await load_pull_mirror(context.site.database, repository)
    async with open_code(engine, repository.store_id) as code:
        revision = await code.default_revision()
        if revision is None:
            return await show_empty(context, header, has_refs=bool(code.snapshot.refs))
        header["languages"] = language_shares(await load_languages(context.site.database, repository.id))
        return await _show_folder(
            context, header, code, Place(revision, b""), is_home=True, waits=bool(wait), skip=max(0, skip)
        )


@page.get(
    "/{owner:str}/{repo:str}/tree/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    is_versioned=True,
)
@follows_branch_renames
async def folder(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    address: str,
    wait: int = 0,
    skip: int = 0,
) -> Response[Any]:
    """Show a folder of a revision from its entry after ``skip`` on; a file's address is sent on to the file."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        return await _show_folder(context, header, code, place, is_home=False, waits=bool(wait), skip=max(0, skip))


async def _show_folder(
    context: RequestContext, header: dict[str, Any], code: Code, place: Place, *, is_home: bool, waits: bool, skip: int
) -> Response[Any]:
    """Return the page of a folder, or the redirect to a file; with ``waits`` its last commits are there for certain.

    Without it the page may come before they are known, and tells the browser to ask again with ``wait=1``.
    """
    base, repository = header["base"], header["repository"]
    entry = await code.entry(place)
    if entry.kind is not ObjectKind.TREE:
        return redirect(code_url(base, "blob", place.revision, place.path))
    found: Folder = await code.folder(entry, skip=skip)
    latest = await code.latest(place)
    last = None
    if latest:
        last = await code.last_commits(place.path, latest[0].oid, patience_seconds=None if waits else _PATIENCE_SECONDS)
    count = await code.count_commits(place.revision) if is_home else None
    return render(
        context,
        "repositories/folder.html",
        **header,
        is_home=is_home,
        revision=place.revision,
        place_path=place.path,
        crumbs=crumbs(repository, base, place),
        rows=await _rows(context, header, code, place, found, last),
        skip=skip,
        earlier_skip=max(0, skip - ENTRIES_PER_PART),
        total=found.total,
        is_waited_for=last is None and bool(latest),
        parent=code_url(base, "tree", place.revision, place.path.rpartition(b"/")[0]) if place.path else "",
        latest=latest[0] if latest else None,
        authors=await authors_of(context, latest),
        readme=None if found.readme is None else await render_readme(context, base, place, found.readme),
        readme_name=show(found.readme.name) if found.readme else "",
        readme_edit_href=_readme_edit_href(header, context.actor, place, found),
        new_href=edit_url(header, context.actor, place, "new"),
        upload_href=edit_url(header, context.actor, place, "upload"),
        folder_delete_href=edit_url(header, context.actor, place, "delete") if place.path else "",
        latest_release=await _latest_release(context, repository) if is_home else None,
        licence=name_of(repository.license) if is_home and repository.license else "",
        licence_href=_licence_href(base, place, found) if is_home else "",
        archive_href=archive_url(base, place.revision),
        branch_count=len(code.branches),
        tag_count=len(code.tags),
        commit_count=count,
        counted_max=COUNTED_COMMITS_MAX,
        find_href=code_url(base, "find", place.revision, b""),
        history_href=code_url(base, "commits", place.revision, place.path),
    )


def _readme_edit_href(header: dict[str, Any], actor: Actor, place: Place, found: Folder) -> str:
    if found.readme is None:
        return ""
    return edit_url(header, actor, Place(place.revision, _join(place.path, found.readme.name)))


def _licence_href(base: str, place: Place, found: Folder) -> str:
    name = licence_name(entry.name for entry in found.entries if entry.mode != FOLDER_MODE)
    return "" if name is None else code_url(base, "blob", place.revision, name)


async def _latest_release(context: RequestContext, repository: RepositoryView) -> ReleaseView | None:
    async with context.site.database.read() as session:
        return await find_latest(session, repository)


async def _rows(
    context: RequestContext, header: dict[str, Any], code: Code, place: Place, found: Folder, last: LastCommits | None
) -> list[Row]:
    base, now = header["base"], context.site.clock()
    has_submodules = any(entry.mode == SUBMODULE_MODE for entry in found.entries)
    urls = await read_submodules(code, place.revision) if has_submodules else {}
    times: dict[str, Markup] = {}  # one commit often changed many of them
    rows = []
    for entry in found.entries:
        row = _row(base, place, entry)
        if entry.mode == SUBMODULE_MODE:
            _add_submodule(context, header["repository"], row, entry, urls.get(_join(place.path, entry.name), ""))
        if last is not None and (commit := last.of(entry.name)) is not None:
            row.message, row.message_href = commit.subject, f"{base}/commit/{commit.oid}"
            row.when = times.get(commit.oid) or times.setdefault(commit.oid, ago(commit.at, now))
        rows.append(row)
    return rows


def _row(base: str, place: Place, entry: FolderEntry) -> Row:
    kind = _KINDS.get(entry.mode, "file")
    path = _join(place.path, _join(entry.name, entry.below) if entry.below else entry.name)
    href = code_url(base, "tree" if kind == "folder" else "blob", place.revision, path)
    row = Row(show(entry.name), href, kind, is_executable=entry.mode == EXECUTABLE_MODE)
    if entry.below:
        # Folders that hold nothing but the next one are one step.
        above, _, name = _join(entry.name, entry.below).rpartition(b"/")
        row.lead, row.name = show(above) + "/", show(name)
    if kind == "symlink":
        row.aside, row.aside_href = show(entry.target), link_href(base, place.revision, path, entry.target)
    return row


def _add_submodule(context: RequestContext, repository: RepositoryView, row: Row, entry: FolderEntry, url: str) -> None:
    row.aside, row.aside_href = entry.oid[:10], submodule_href(url, entry.oid, repository, context.settings)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


route_handlers: list[HTTPRouteHandler] = [home, folder]
