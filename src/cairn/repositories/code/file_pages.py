"""Pages of a file: shown as what it is, and its bytes."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.reading import TreeEntry
from cairn.git.types import ObjectKind
from cairn.lfs.pointers import POINTER_BYTES_MAX, Pointer
from cairn.repositories.code.browse import Code, FileContent, open_code
from cairn.repositories.code.code_links import code_url, crumbs, edit_url, link_href
from cairn.repositories.code.file_kinds import (
    FileKind,
    media_kind,
    media_type,
    raw_type,
    read_dimensions,
)
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.large_files import answer_large_file, find_large_file, pointer_in, with_bytes
from cairn.repositories.code.raw_answer import WHOLE_BYTES_MAX, answer_raw
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.rendered_files import is_renderable, render_file
from cairn.repositories.code.revisions import Place
from cairn.repositories.code.shown_text import LINES_PER_PART, TextPart, read_part
from cairn.repositories.code.submodules import read_submodules, submodule_href
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text
from cairn.web.markup.documents import Rendered
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.text_files import ENCODINGS, TextFile, read_text
from cairn.web.urls import path_join

RAW_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; sandbox"
"""What a browser may do with a file's bytes: show them. Nothing runs, nothing is asked for, no form is sent."""

_LINE_RANGE = re.compile(r"L?(\d{1,9})(?:\s*-\s*L?(\d{1,9}))?", re.IGNORECASE)


@dataclass(slots=True)
class FileView:
    """A file as its page shows it; what does not belong to its kind is absent."""

    kind: FileKind
    text: TextFile | None = None
    part: TextPart | None = None
    rendered: Rendered | None = None
    has_rendered: bool = False
    has_source: bool = False
    media_type: str = ""
    dimensions: tuple[int, int] | None = None
    pointer: Pointer | None = None
    is_lost: bool = False
    """The server was given the large file, and its object store has it no more."""
    target: str = ""
    target_href: str = ""


@page.get(
    "/{owner:str}/{repo:str}/blob/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    is_versioned=True,
)
@follows_branch_renames
async def file(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    address: str,
    plain: int = 0,
    first: int = 1,
    line: str = "",
    encoding: str = "",
) -> Response[Any]:
    """Show a file: text with line numbers from line ``first`` on, or rendered unless ``plain=1``, or what else it is.

    ``line`` (``12``, ``12-20``) leads to these lines, ``encoding`` names another one than is assumed. The address of a
    folder is sent on.
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
        latest = await code.latest(place)
        content = await _content(code, entry)
        pointer = pointer_in(content)
        stored = None
        if pointer is not None:
            stored = await find_large_file(context.site.database, repository.id, pointer)
            large = stored and await with_bytes(engine.storage, content, stored)
            if large is None:
                context.page_versions = ""  # it may be there any time, which changes nothing in git
            content = large or content
        if entry.is_submodule:
            url = (await read_submodules(code, place.revision)).get(place.path, "")
            href = submodule_href(url, entry.oid, repository, context.settings)
            view = FileView(FileKind.SUBMODULE, target=url, target_href=href)
        else:
            wants_source = bool(plain or encoding)
            view = await _view(context, code, base, place, content, pointer, first, encoding, wants_source=wants_source)
            view.is_lost = view.kind is FileKind.LFS and stored is not None
    return render(
        context,
        "repositories/file.html",
        **header,
        revision=place.revision,
        place_path=place.path,
        crumbs=crumbs(repository, base, place),
        content=content,
        view=view,
        encodings=list(ENCODINGS),
        lines_per_part=LINES_PER_PART,
        copies_whole=content.size_bytes <= WHOLE_BYTES_MAX,
        latest=latest[0] if latest else None,
        authors=await authors_of(context, latest),
        raw_href=code_url(base, "raw", place.revision, place.path),
        history_href=code_url(base, "commits", place.revision, place.path),
        blame_href=code_url(base, "blame", place.revision, place.path) if view.pointer is None else "",
        find_href=code_url(base, "find", place.revision, b""),
        edit_href=edit_url(header, actor, place) if view.text is not None and view.pointer is None else "",
        delete_href=edit_url(header, actor, place, "delete"),
        permalink=path_join(repository.owner, repository.name, "blob", place.revision.commit_oid, place.path),
    )


def go_to_lines(context: RequestContext, line: str) -> Response[bytes]:
    """Send the browser to some lines of the page it is at, in the part that has them; to the page if it names none."""
    found = _LINE_RANGE.fullmatch(line.strip())
    kept = {name: value for name, value in context.request.query_params.items() if name not in {"line", "first"}}
    fragment = ""
    if found is not None:
        numbers = sorted(max(1, int(number)) for number in found.groups() if number)
        if numbers[0] > LINES_PER_PART:
            kept["first"] = str((numbers[0] - 1) // LINES_PER_PART * LINES_PER_PART + 1)
        fragment = "#" + "-".join(f"L{number}" for number in dict.fromkeys(numbers))
    query = "&".join(f"{quote(name)}={quote(str(value))}" for name, value in kept.items())
    return redirect(context.path + (f"?{query}" if query else "") + fragment)


async def _content(code: Code, entry: TreeEntry) -> FileContent:
    if entry.is_submodule:
        return FileContent(entry.name, entry.oid, entry.mode, 0, None)
    return await code.file(entry)


async def _view(
    context: RequestContext,
    code: Code,
    base: str,
    place: Place,
    content: FileContent,
    pointer: Pointer | None,
    first: int,
    encoding: str,
    *,
    wants_source: bool,
) -> FileView:
    """Return how a file or a link is shown; ``pointer`` is in git where the content is a large file's."""
    data = content.data
    if content.is_symlink:
        href = link_href(base, place.revision, place.path, data or b"")
        return FileView(FileKind.SYMLINK, target=decode_text(data or b""), target_href=href)
    if pointer is not None and pointer_in(content) == pointer:
        return FileView(FileKind.LFS, pointer=pointer)
    text = None if data is None else await asyncio.to_thread(read_text, data, encoding=encoding)
    media = media_kind(content.name)
    if media is not None and not (text and wants_source):
        dimensions = None
        if media is FileKind.IMAGE and data is not None:
            dimensions = await asyncio.to_thread(read_dimensions, data)
        return FileView(
            media,
            has_source=text is not None,
            media_type=media_type(content.name),
            dimensions=dimensions,
            pointer=pointer,
        )
    if text is None:
        return FileView(FileKind.LARGE if data is None else FileKind.BINARY, pointer=pointer)
    has_rendered = media is not None or is_renderable(content)
    view = FileView(FileKind.TEXT, text=text, has_rendered=has_rendered, pointer=pointer)
    if not wants_source:
        folder = place.path.rpartition(b"/")[0]
        view.rendered = await render_file(context, base, place, content, folder=folder)
    if view.rendered is None:
        oid = content.oid if pointer is None else pointer.sha256
        view.part = await read_part(code, oid, content.name, text, first=first)
    return view


@page.get("/{owner:str}/{repo:str}/raw/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
@follows_branch_renames
async def raw(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    address: str,
    download: int = 0,
    pointer: int = 0,
) -> Response[Any]:
    """Answer a file's bytes, or a range of them: as text, a picture, sound or film; nothing that a browser runs.

    With ``download=1`` a browser keeps it as a file. Of a file in Git LFS these are the large file's bytes if the
    repository has them; with ``pointer=1`` those that git has.
    """
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        entry = await code.entry(place)
        found = None if pointer else pointer_in(await code.file(entry, max_bytes=POINTER_BYTES_MAX))
        stored = found and await find_large_file(context.site.database, repository.id, found)
        if stored:
            name = place.path.rpartition(b"/")[2]
            return await answer_large_file(context, name, stored, policy=RAW_POLICY, download=bool(download))
        return await answer_file(context, code, entry, download=bool(download))


async def answer_file(
    context: RequestContext, code: Code, entry: TreeEntry, *, download: bool = False
) -> Response[bytes] | Stream:
    """Return a file's bytes as a type that a browser runs nothing of, in a sandbox."""
    content = await code.file(entry, max_bytes=WHOLE_BYTES_MAX)
    headers = {
        "Content-Security-Policy": RAW_POLICY,
        "Cross-Origin-Resource-Policy": "same-site",
        "ETag": f'"{content.oid}"',
    }
    if download:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(content.name)}"
    kind = await asyncio.to_thread(raw_type, content.name, content.data)
    return await answer_raw(context, code, content.oid, media_type=kind, headers=headers)


route_handlers: list[HTTPRouteHandler] = [file, raw]
