"""Git's own objects made over REST: blobs, trees, commits, tags. No ref reaches them until one is moved there."""

import asyncio
from typing import Literal

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.types import ObjectKind, Signature
from cairn.git.writing import FILE_MODE, SUBMODULE_MODE, TREE_MODE, File, Placed
from cairn.identity.commit_authors import commit_author
from cairn.repositories.api_routes import REPOSITORY, follows_renames, read_repository
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.git_serializers import git_commit_json, tag_json, tree_json
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.editing.api_bodies import FieldInvalid, PersonSent, base64_of, missing, oid_of, signature_of
from cairn.repositories.editing.new_objects import NewCommit, make_blob, make_commit, make_tag, make_tree
from cairn.repositories.serializers import links_of
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.routing import api

Mode = Literal["100644", "100755", "040000", "160000", "120000"]


class BlobSent(msgspec.Struct, kw_only=True):
    """The body of making a blob."""

    content: str
    encoding: str = "utf-8"


class EntrySent(msgspec.Struct, kw_only=True):
    """One entry of a tree to be: an object (``sha``), text (``content``), or a deletion (``sha`` null)."""

    path: str
    mode: Mode = "100644"
    type: Literal["blob", "tree", "commit"] | None = None
    sha: str | UnsetType | None = UNSET
    content: str | UnsetType = UNSET


class TreeSent(msgspec.Struct, kw_only=True):
    """The body of making a tree: entries, put into ``base_tree`` or into nothing."""

    tree: list[EntrySent]
    base_tree: str | None = None


class CommitSent(msgspec.Struct, kw_only=True):
    """The body of making a commit."""

    message: str
    tree: str
    parents: list[str] = []
    author: PersonSent | None = None
    committer: PersonSent | None = None
    signature: str | None = None


class TagSent(msgspec.Struct, kw_only=True):
    """The body of making an annotated tag."""

    tag: str
    message: str
    object: str
    type: Literal["commit", "tree", "blob", "tag"] = "commit"
    tagger: PersonSent | None = None


@api.post(f"{REPOSITORY}/git/blobs", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def post_blob(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: BlobSent
) -> ApiAnswer:
    """Make a file and answer its id."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    match body.encoding.lower():
        case "utf-8" | "utf8":
            content = body.content.encode("utf-8", "surrogatepass")
        case "base64":
            content = await asyncio.to_thread(base64_of, body.content)
        case other:
            raise FieldInvalid("encoding", f"{other[:20]!r} is no encoding; send utf-8 or base64.")
    oid = await make_blob(engine, actor, repository, content)
    url = links_of(context, repository.owner, repository.name).git("blobs", oid)
    return ApiAnswer({"url": url, "sha": oid}, 201, {"Location": url})


@api.post(f"{REPOSITORY}/git/trees", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def post_tree(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: TreeSent
) -> ApiAnswer:
    """Make a tree and answer it."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    entries: dict[bytes, File | Placed | None] = {}
    for sent in body.tree:
        path = sent.path.encode("utf-8", "replace")
        if path in entries:
            raise FieldInvalid("tree", f"tree.path {sent.path[:100]!r} is there twice.")
        entries[path] = _entry(sent)
    base = None if body.base_tree is None else oid_of(body.base_tree, "base_tree")
    oid = await make_tree(engine, actor, repository, entries, base=base)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        listed = await code.listing(oid)
    answer = await asyncio.to_thread(tree_json, links, oid, listed.entries, is_truncated=listed.is_truncated)
    return ApiAnswer(answer, 201, {"Location": links.git("trees", oid)})


_KINDS = {TREE_MODE: "tree", SUBMODULE_MODE: "commit"}


def _entry(sent: EntrySent) -> File | Placed | None:
    mode = int(sent.mode, 8)
    kind = _KINDS.get(mode, "blob")
    if sent.sha is None and sent.content is UNSET:
        return None
    if (sent.sha is UNSET) == (sent.content is UNSET):
        raise FieldInvalid("tree", "Must supply either tree.sha or tree.content.")
    if sent.type not in {None, kind}:
        raise FieldInvalid("tree", f"tree.type {sent.type} does not go with tree.mode {sent.mode}.")
    if isinstance(sent.content, str):
        if kind != "blob":
            raise FieldInvalid("tree", f"tree.content is no {kind}; give its tree.sha.")
        return File(sent.content.encode("utf-8", "surrogatepass"), mode or FILE_MODE)
    assert isinstance(sent.sha, str), "it was given"
    return Placed(oid_of(sent.sha, "tree.sha"), mode)


@api.post(f"{REPOSITORY}/git/commits", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def post_commit(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: CommitSent
) -> ApiAnswer:
    """Make a commit and answer it."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    now = context.site.clock()
    author = None if body.author is None else signature_of(body.author, "author", now=now)
    author = author or await _actors(context, actor)
    committer = author if body.committer is None else signature_of(body.committer, "committer", now=now)
    wanted = NewCommit(
        tree=oid_of(body.tree, "tree"),
        parents=[oid_of(parent, "parents") for parent in body.parents],
        author=author,
        committer=committer,
        message=body.message,
        signature=body.signature or "",
    )
    oid = await make_commit(engine, actor, repository, wanted)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        answer = git_commit_json(links, await code.commit(oid), await signatures_of(context, code, [oid]))
    return ApiAnswer(answer, 201, {"Location": answer["url"]})


@api.post(f"{REPOSITORY}/git/tags", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def post_tag(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: TagSent
) -> ApiAnswer:
    """Make an annotated tag and answer it; a ref (``refs/tags/…``) is created with its id afterwards."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    if not body.tag:
        raise missing("tag")
    now = context.site.clock()
    tagger = None if body.tagger is None else signature_of(body.tagger, "tagger", now=now)
    oid = await make_tag(
        engine,
        actor,
        repository,
        name=body.tag.removeprefix("refs/tags/"),
        target=oid_of(body.object, "object"),
        kind=ObjectKind(body.type),
        tagger=tagger or await _actors(context, actor),
        message=body.message,
    )
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        answer = tag_json(links, await code.tag(oid), await signatures_of(context, code, [oid]))
    return ApiAnswer(answer, 201, {"Location": answer["url"]})


async def _actors(context: RequestContext, actor: Actor) -> Signature:
    async with context.site.database.read() as session:
        return await commit_author(session, context.settings.host, actor, at=context.site.clock())


route_handlers: list[HTTPRouteHandler] = [post_blob, post_tree, post_commit, post_tag]
