"""Files and folders over REST: ``contents`` and ``readme``, as JSON, or the file itself."""

import posixpath
from typing import Any

from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.errors import NotFound, TooLarge
from cairn.git.engine import Engine
from cairn.git.reading import TreeEntry
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
from cairn.repositories.code.git_serializers import entry_json, file_content_json, submodule_urls, text
from cairn.repositories.code.raw_answer import answer_raw
from cairn.repositories.code.revisions import Place
from cairn.repositories.serializers import Json, Links, links_of
from cairn.web.api import media_format
from cairn.web.context import RequestContext
from cairn.web.routing import api

CONTENT_BYTES_MAX = 1 << 20
"""Files beyond this have no content in JSON; they are there as raw."""
FOLDER_ENTRIES_MAX = 10_000
_GITMODULES_BYTES_MAX = 64 << 10
_SYMLINK_MODE = 0o120000


class FolderTooLarge(TooLarge):
    """A folder has more entries than one answer holds."""


@api.get(
    f"{REPOSITORY}/contents",
    f"{REPOSITORY}/contents/{{address:path}}",
    action=Action.REPOSITORY_READ,
    resource="repository",
)
@follows_renames
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
            urls = await _submodules(code, place)
            return entry_json(
                links,
                revision.name,
                place.path,
                kind="submodule",
                oid=entry.oid,
                size_bytes=0,
                submodule_url=urls.get(text(place.path)),
            )
        if entry.mode == _SYMLINK_MODE:
            return await _link(context, code, links, place, entry)
        return await _file(context, code, links, place, entry)


@api.get(f"{REPOSITORY}/readme", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def readme(context: RequestContext, engine: Engine, owner: str, repo: str) -> Any:  # noqa: ANN401 (object or bytes)
    """Answer the README of the root folder."""
    return await _readme(context, engine, owner, repo, b"")


@api.get(f"{REPOSITORY}/readme/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
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
    return file_content_json(links, revision.name, _join(path, found.readme.name), found.readme)


async def _file(context: RequestContext, code: Code, links: Links, place: Place, entry: TreeEntry) -> Any:  # noqa: ANN401 (object or bytes)
    if media_format(context.request.headers.get("accept", "")) == "raw":
        return await answer_raw(context, code, entry.oid, media_type=media_type_of("raw"))
    content = await code.file(entry, max_bytes=CONTENT_BYTES_MAX)
    return file_content_json(links, place.revision.name, place.path, content)


async def _link(context: RequestContext, code: Code, links: Links, place: Place, entry: TreeEntry) -> Any:  # noqa: ANN401 (object or bytes)
    """Answer the file a link leads to; the link itself if it leads to no file of this revision."""
    content = await code.file(entry, max_bytes=CONTENT_BYTES_MAX)
    target = content.data or b""
    path = posixpath.normpath(_join(posixpath.dirname(place.path), target))
    if target and not target.startswith(b"/") and not path.startswith(b".."):
        try:
            found = await code.entry(Place(place.revision, path))
        except NotFound:
            found = entry
        if found.kind is ObjectKind.BLOB and found.mode != _SYMLINK_MODE:
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
    urls = await _submodules(code, place) if has_submodules else {}
    entries = [_listed(links, place, item, urls) for item in listed.entries]
    if media_format(context.request.headers.get("accept", "")) != "object":
        return entries
    body = entry_json(links, place.revision.name, place.path, kind="dir", oid=entry.oid, size_bytes=0)
    return body | {"entries": entries}


def _listed(links: Links, place: Place, item: ListedEntry, urls: dict[str, str]) -> Json:
    path = _join(place.path, item.path)
    kind = "file"
    if item.kind is ObjectKind.TREE:
        kind = "dir"
    elif item.mode == _SYMLINK_MODE:
        kind = "symlink"
    elif item.kind is ObjectKind.COMMIT:
        body = entry_json(
            links,
            place.revision.name,
            path,
            kind="submodule",
            oid=item.oid,
            size_bytes=0,
            submodule_url=urls.get(text(path)),
        )
        # GitHub says "file" in lists, and clients know it.
        return body | {"type": "file"}
    return entry_json(links, place.revision.name, path, kind=kind, oid=item.oid, size_bytes=item.size_bytes or 0)


async def _submodules(code: Code, place: Place) -> dict[str, str]:
    """Return path to address of the revision's submodules, as far as it says so."""
    try:
        entry = await code.entry(Place(place.revision, b".gitmodules"))
        content = await code.file(entry, max_bytes=_GITMODULES_BYTES_MAX)
    except NotFound:
        return {}
    return submodule_urls(text(content.data or b""))


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


route_handlers: list[HTTPRouteHandler] = [contents, readme, folder_readme]
