"""Git's own objects over REST, read by name or id. By id only what a root of the last 14 days reaches (P-5)."""

import asyncio
from typing import Any

from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.errors import NotFound, TooLarge
from cairn.git.engine import Engine
from cairn.git.reading import BlobTooLarge, ObjectNotFound
from cairn.git.types import ObjectKind, Oid, is_oid, parse_oid
from cairn.repositories.api_routes import (
    REPOSITORY,
    follows_renames,
    media_type_of,
    read_repository,
    rest_of_path,
    revision_named,
)
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.git_serializers import blob_json, git_commit_json, ref_json, tag_json, tree_json
from cairn.repositories.code.raw_answer import answer_raw
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.serializers import Json, links_of
from cairn.web.api import media_format
from cairn.web.context import RequestContext
from cairn.web.routing import api

BLOB_BYTES_MAX = 10 << 20
REFS_MAX = 100_000
"""Refs one answer holds: this list has no pages."""


class TooManyRefs(TooLarge):
    """A prefix matches more refs than one answer holds."""


@api.get(f"{REPOSITORY}/git/ref/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def get_ref(context: RequestContext, engine: Engine, owner: str, repo: str) -> Json:
    """Answer the one ref of that whole name (``heads/main``)."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        ref = code.snapshot.find(b"refs/" + rest_of_path(context, "git/ref"))
        if ref is None:
            raise NotFound("Not Found")
        return ref_json(links, ref, (await code.kinds([ref.oid]))[0])


@api.get(
    f"{REPOSITORY}/git/matching-refs",
    f"{REPOSITORY}/git/matching-refs/{{address:path}}",
    action=Action.REPOSITORY_READ,
    resource="repository",
)
@follows_renames
async def list_matching_refs(context: RequestContext, engine: Engine, owner: str, repo: str) -> list[Json]:
    """Answer every ref whose name starts so (``heads/feature``), without pages as GitHub does."""
    prefix = b"refs/" + rest_of_path(context, "git/matching-refs")
    if context.path.endswith("/") and prefix != b"refs/":
        prefix += b"/"
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        found = [ref for ref in code.snapshot.refs if ref.name.startswith(prefix)]
        if len(found) > REFS_MAX:
            raise TooManyRefs(f"More than {REFS_MAX:,} refs match; give a longer prefix.")
        kinds = await code.kinds([ref.oid for ref in found])
    return [ref_json(links, ref, kind) for ref, kind in zip(found, kinds, strict=True)]


@api.get(f"{REPOSITORY}/git/trees/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def get_tree(context: RequestContext, engine: Engine, owner: str, repo: str) -> Json:
    """Answer a tree, by its id or by that of a commit or the name of a revision; any ``recursive`` goes all the way."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        oid = await _tree_oid(code, rest_of_path(context, "git/trees"))
        listed = await code.listing(oid, recursive="recursive" in context.request.query_params)
    # A hundred thousand entries take a good half second: other requests go on meanwhile.
    return await asyncio.to_thread(tree_json, links, oid, listed.entries, is_truncated=listed.is_truncated)


async def _tree_oid(code: Code, name: bytes) -> Oid:
    word = name.decode("latin-1")
    if is_oid(word):
        await code.prove(Oid(word))
        oid, kind = await code.peel(Oid(word))
    else:
        oid, kind = (await revision_named(code, name)).commit_oid, ObjectKind.COMMIT
    if kind is ObjectKind.COMMIT:
        return (await code.commit(oid)).tree_oid
    if kind is not ObjectKind.TREE:
        raise ObjectNotFound(f"{oid} is a {kind.value}, not a tree")
    return oid


@api.get(f"{REPOSITORY}/git/blobs/{{file_sha:str}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def get_blob(context: RequestContext, engine: Engine, owner: str, repo: str, file_sha: str) -> Any:  # noqa: ANN401 (object or bytes)
    """Answer a file's content by its id."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        oid = await _proved(code, file_sha, ObjectKind.BLOB)
        if media_format(context.request.headers.get("accept", "")) == "raw":
            return await answer_raw(context, code, oid, media_type=media_type_of("raw"))
        try:
            data = await code.blob(oid, max_bytes=BLOB_BYTES_MAX)
        except BlobTooLarge as error:
            raise TooLarge(
                f"This blob has {error.size_bytes:,} bytes, more than the {BLOB_BYTES_MAX:,} sent as JSON; "
                "ask for application/vnd.github.raw, or clone."
            ) from None
    return blob_json(links, oid, data)


@api.get(f"{REPOSITORY}/git/commits/{{commit_sha:str}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def get_git_commit(context: RequestContext, engine: Engine, owner: str, repo: str, commit_sha: str) -> Json:
    """Answer a commit object by its id."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        oid = await _proved(code, commit_sha, ObjectKind.COMMIT)
        return git_commit_json(links, await code.commit(oid), await signatures_of(context, code, [oid]))


@api.get(f"{REPOSITORY}/git/tags/{{tag_sha:str}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def get_git_tag(context: RequestContext, engine: Engine, owner: str, repo: str, tag_sha: str) -> Json:
    """Answer an annotated tag by its own id."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        oid = await _proved(code, tag_sha, ObjectKind.TAG)
        return tag_json(links, await code.tag(oid), await signatures_of(context, code, [oid]))


async def _proved(code: Code, word: str, wanted: ObjectKind) -> Oid:
    """Return the id of a reachable object of one kind; OidInvalid, NotFound."""
    oid = parse_oid(word.lower())
    if await code.prove(oid) is not wanted:
        raise ObjectNotFound(f"{oid} is no {wanted.value}")
    return oid


route_handlers: list[HTTPRouteHandler] = [
    get_ref,
    list_matching_refs,
    get_tree,
    get_blob,
    get_git_commit,
    get_git_tag,
]
