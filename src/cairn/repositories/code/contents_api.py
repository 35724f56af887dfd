"""Files and folders over REST: ``contents`` and ``readme``, as JSON, or the file itself."""

import asyncio
from typing import Any

from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.errors import NotFound, TooLarge
from cairn.git.engine import Engine
from cairn.git.reading import SYMLINK_MODE, TreeEntry
from cairn.git.tree_listing import ListedEntry
from cairn.git.types import ObjectKind
from cairn.repositories.api_routes import (
    REPOSITORY,
    follows_renames,
    media_type_of,
    plain,
    query_bytes,
    read_repository,
    rest_of_path,
    revision_named,
)
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.code_links import link_target
from cairn.repositories.code.git_serializers import entry_json, file_content_json, text
from cairn.repositories.code.markup_api import answer_html
from cairn.repositories.code.raw_answer import answer_raw
from cairn.repositories.code.renamed_branches import follows_renamed_ref
from cairn.repositories.code.rendered_files import render_file, render_readme
from cairn.repositories.code.revisions import Place
from cairn.repositories.code.submodules import read_submodules
from cairn.repositories.serializers import Json, Links, links_of
from cairn.web.api import media_format
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text
from cairn.web.markup.rendering import as_it_is
from cairn.web.routing import api

CONTENT_BYTES_MAX = 1 << 20
"""Files beyond this have no content in JSON; they are there as raw."""
FOLDER_ENTRIES_MAX = 10_000


class FolderTooLarge(TooLarge):
    """A folder has more entries than one answer holds."""


@api.get(
    f"{REPOSITORY}/contents",
    f"{REPOSITORY}/contents/{{address:path}}",
    action=Action.REPOSITORY_READ,
    resource="repository",
)
@follows_renames
@follows_renamed_ref
async def contents(context: RequestContext, engine: Engine, owner: str, repo: str) -> Any:  # noqa: ANN401 (list or object)
    """Answer a file with its content, a folder as a list, a link or a submodule as what it is."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        revision = await revision_named(code, query_bytes(context, "ref"))
        place = Place(revision, rest_of_path(context, "contents"))
        entry = await code.entry(place)
        if entry.kind is ObjectKind.TREE:
            return await _folder(context, code, links, place, entry)
        if entry.is_submodule:
            urls = await read_submodules(code, place.revision)
            return entry_json(
                links,
                revision.name,
                place.path,
                kind="submodule",
                oid=entry.oid,
                size_bytes=0,
                submodule_url=urls.get(place.path),
            )
        if entry.mode == SYMLINK_MODE:
            return await _link(context, code, links, place, entry)
        return await _file(context, code, links, place, entry)


@api.get(f"{REPOSITORY}/readme", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
@follows_renamed_ref
async def readme(context: RequestContext, engine: Engine, owner: str, repo: str) -> Any:  # noqa: ANN401 (object or bytes)
    """Answer the README of the root folder."""
    return await _readme(context, engine, owner, repo, b"")


@api.get(f"{REPOSITORY}/readme/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
@follows_renamed_ref
async def folder_readme(context: RequestContext, engine: Engine, owner: str, repo: str) -> Any:  # noqa: ANN401 (as above)
    """Answer the README of a folder."""
    return await _readme(context, engine, owner, repo, rest_of_path(context, "readme"))


async def _readme(context: RequestContext, engine: Engine, owner: str, repo: str, path: bytes) -> Any:  # noqa: ANN401 (as above)
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        revision = await revision_named(code, query_bytes(context, "ref"))
        found = await code.folder(await code.entry(Place(revision, path)))
    if found.readme is None or found.readme.data is None:
        raise NotFound("There is no README here.")
    if media_format(context.request.headers.get("accept", "")) == "raw":
        return plain(found.readme.data, "raw")
    if media_format(context.request.headers.get("accept", "")) == "html":
        rendered = await render_readme(context, links.html, Place(revision, path), found.readme)
        return answer_html(rendered, media_type_of("html"))
    return file_content_json(links, revision.name, _join(path, found.readme.name), found.readme)


async def _file(context: RequestContext, code: Code, links: Links, place: Place, entry: TreeEntry) -> Any:  # noqa: ANN401 (object or bytes)
    if media_format(context.request.headers.get("accept", "")) == "raw":
        return await answer_raw(context, code, entry.oid, media_type=media_type_of("raw"))
    content = await code.file(entry, max_bytes=CONTENT_BYTES_MAX)
    if media_format(context.request.headers.get("accept", "")) == "html" and content.data is not None:
        rendered = await render_file(context, links.html, place, content, folder=place.path.rpartition(b"/")[0])
        return answer_html(rendered or as_it_is(decode_text(content.data)), media_type_of("html"))
    return file_content_json(links, place.revision.name, place.path, content)


async def _link(context: RequestContext, code: Code, links: Links, place: Place, entry: TreeEntry) -> Any:  # noqa: ANN401 (object or bytes)
    """Answer the file a link leads to; the link itself if it leads to no file of this revision."""
    content = await code.file(entry, max_bytes=CONTENT_BYTES_MAX)
    target = content.data or b""
    path = link_target(place.path, target)
    if path is not None:
        try:
            found = await code.entry(Place(place.revision, path))
        except NotFound:
            found = entry
        if found.kind is ObjectKind.BLOB and found.mode != SYMLINK_MODE:
            return await _file(context, code, links, place, found)
    if media_format(context.request.headers.get("accept", "")) == "raw":
        return plain(target, "raw")
    body = entry_json(
        links, place.revision.name, place.path, kind="symlink", oid=entry.oid, size_bytes=content.size_bytes
    )
    return body | {"target": text(target)}


async def _folder(context: RequestContext, code: Code, links: Links, place: Place, entry: TreeEntry) -> Any:  # noqa: ANN401 (list or object)
    listed = await code.listing(entry.oid, max_entries=FOLDER_ENTRIES_MAX)
    if listed.is_truncated:
        raise FolderTooLarge(
            f"This folder has more than {FOLDER_ENTRIES_MAX:,} entries; read it with the git trees API."
        )
    has_submodules = any(item.kind is ObjectKind.COMMIT for item in listed.entries)
    urls = await read_submodules(code, place.revision) if has_submodules else {}
    entries = await asyncio.to_thread(lambda: [_listed(links, place, item, urls) for item in listed.entries])
    if media_format(context.request.headers.get("accept", "")) != "object":
        return entries
    body = entry_json(links, place.revision.name, place.path, kind="dir", oid=entry.oid, size_bytes=0)
    return body | {"entries": entries}


def _listed(links: Links, place: Place, item: ListedEntry, urls: dict[bytes, str]) -> Json:
    path = _join(place.path, item.path)
    kind = "file"
    if item.kind is ObjectKind.TREE:
        kind = "dir"
    elif item.mode == SYMLINK_MODE:
        kind = "symlink"
    elif item.kind is ObjectKind.COMMIT:
        body = entry_json(
            links,
            place.revision.name,
            path,
            kind="submodule",
            oid=item.oid,
            size_bytes=0,
            submodule_url=urls.get(path),
        )
        # GitHub says "file" in lists, and clients know it.
        return body | {"type": "file"}
    return entry_json(links, place.revision.name, path, kind=kind, oid=item.oid, size_bytes=item.size_bytes or 0)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


route_handlers: list[HTTPRouteHandler] = [contents, readme, folder_readme]
