"""The page of a folder: its entries, what changed each of them last, its README; and what pages of code share."""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from litestar import Response
from markupsafe import Markup

from cairn.git.last_commits import LastCommits
from cairn.git.reading import TreeEntry
from cairn.git.types import ObjectKind, show
from cairn.repositories.code.browse import COUNTED_COMMITS_MAX, Code, FileContent, Folder
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.revisions import Place, Revision
from cairn.repositories.queries import RepositoryView
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text
from cairn.web.markdown import render_markdown
from cairn.web.render import ago, redirect, render
from cairn.web.urls import path_join

MARKDOWN = (b".md", b".markdown")
"""How names of files that are shown rendered end."""

_PATIENCE_SECONDS = 0.25
"""So long a page waits for the column of last commits; a browser asks for the rest by itself."""

_BRANCHES_IN_MENU = 50


@dataclass(slots=True)
class Row:
    """One row of a folder table; see ``tree_rows`` in the components."""

    name: str
    href: str
    kind: Literal["folder", "file", "symlink", "submodule"]
    message: str = ""
    message_href: str = ""
    when: Markup | str = ""


async def show_folder(
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
        readme = await _readme(context, base, place, found.readme)
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


async def _readme(context: RequestContext, base: str, place: Place, readme: FileContent) -> Markup:
    if readme.name.lower().endswith(MARKDOWN):
        return await read_markdown(context, base, place.revision, place.path, readme)
    assert readme.data is not None
    return Markup('<pre class="markdown-plain">{}</pre>').format(decode_text(readme.data))


async def read_markdown(
    context: RequestContext, base: str, revision: Revision, folder_path: bytes, content: FileContent
) -> Markup:
    """Render Markdown with its relative links meaning files of the same revision."""
    context.allow_remote_images = True
    assert content.data is not None

    def rewrite(address: str, kind: Literal["link", "image"]) -> str:
        if address.startswith("#"):
            return address
        target, mark, fragment = address.partition("#")
        path = _join(b"" if target.startswith("/") else folder_path, unquote_to_bytes(target))
        return code_url(base, "raw" if kind == "image" else "blob", revision, path) + mark + fragment

    return await render_markdown(decode_text(content.data), rewrite=rewrite)


def _join(folder_path: bytes, target: bytes) -> bytes:
    """Return a relative path made absolute within the repository; ``..`` stops at its root."""
    parts = folder_path.split(b"/") if folder_path else []
    for part in target.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in {b"", b"."}:
            parts.append(part)
    return b"/".join(parts)


def code_url(base: str, verb: str, revision: Revision, path: bytes) -> str:
    """Return the address of a path in a revision as somebody named it."""
    tail = path_join(verb, revision.name, path) if path else path_join(verb, revision.name)
    return base + tail


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


def crumbs(repository: RepositoryView, base: str, place: Place) -> list[tuple[str, str]]:
    """Return name and address of each folder above a place, the repository first."""
    links = [(repository.name, code_url(base, "tree", place.revision, b""))]
    parts = place.path.split(b"/") if place.path else []
    for count, part in enumerate(parts, 1):
        links.append((show(part), code_url(base, "tree", place.revision, b"/".join(parts[:count]))))
    return links


def branch_links(code: Code, base: str, verb: str) -> list[tuple[str, str]]:
    """Return name and address of the first branches, for a menu."""
    names = [ref.name.removeprefix(b"refs/heads/") for ref in code.branches[:_BRANCHES_IN_MENU]]
    return [(show(name), base + path_join(verb, name)) for name in names]
