"""Refs changed over REST: create, update, delete; renaming a branch; merging one into another."""

import msgspec
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.engine import Engine
from cairn.git.ref_queries import RefValue
from cairn.repositories.api_routes import REPOSITORY, follows_renames, read_repository, rest_of_path, revision_named
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.git_serializers import commit_json, full_branch_json, ref_json
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.editing.api_bodies import oid_of
from cairn.repositories.editing.change_refs import create_ref, delete_ref, merge_branch, rename_branch, update_ref
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView, branch_ref
from cairn.repositories.rules.protected_branches import read_ref_rules
from cairn.repositories.serializers import Json, links_of
from cairn.web.api import ApiAnswer, decode_body
from cairn.web.context import RequestContext
from cairn.web.routing import api


class RefToBe(msgspec.Struct, kw_only=True):
    """The body of creating a ref: its whole name and the object it points to."""

    ref: str
    sha: str


class RefMove(msgspec.Struct, kw_only=True):
    """The body of moving a ref; ``force`` allows what is no fast-forward."""

    sha: str
    force: bool = False


class NewName(msgspec.Struct):
    """The body of renaming a branch."""

    new_name: str


class MergeWanted(msgspec.Struct, kw_only=True):
    """The body of a merge: ``head`` (a branch or a commit) into the branch ``base``."""

    base: str
    head: str
    commit_message: str | None = None


@api.post(f"{REPOSITORY}/git/refs", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def post_ref(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: RefToBe
) -> ApiAnswer:
    """Create a ref (``refs/heads/new``) and answer it."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    name = body.ref.encode("utf-8", "replace")
    made = await create_ref(engine, actor, repository, name, oid_of(body.sha, "sha"))
    answer = await _answer(context, engine, repository, made)
    return ApiAnswer(answer, 201, {"Location": answer["url"]})


@api.patch(f"{REPOSITORY}/git/refs/{{address:path}}", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def patch_ref(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: RefMove
) -> Json:
    """Move a ref (``heads/main``) and answer it."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    name = b"refs/" + rest_of_path(context, "git/refs")
    moved = await update_ref(engine, actor, repository, name, oid_of(body.sha, "sha"), force=body.force)
    return await _answer(context, engine, repository, moved)


@api.delete(f"{REPOSITORY}/git/refs/{{address:path}}", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def remove_ref(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> None:
    """Delete a ref."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    await delete_ref(engine, actor, repository, b"refs/" + rest_of_path(context, "git/refs"))


async def rename_named(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, branch: bytes
) -> ApiAnswer:
    """Rename a branch by the body of the request and answer it.

    No route of its own: a branch's name may have slashes, so that all that is posted below branches is one address,
    which ``rules.protection_api`` answers.
    """
    body = decode_body(await context.request.body(), NewName)
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    renamed = await rename_branch(engine, actor, repository, BRANCH_PREFIX + branch, branch_ref(body.new_name))
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        commit = await code.commit(renamed.oid)
        authors = await authors_of(context, [commit])
        signatures = await signatures_of(context, code, [renamed.oid])
    async with context.site.database.read() as session:
        rules = await read_ref_rules(session, repository)
    return ApiAnswer(full_branch_json(links, renamed, commit, authors, signatures, rules), 201)


@api.post(f"{REPOSITORY}/merges", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def post_merge(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: MergeWanted
) -> ApiAnswer | None:
    """Merge a branch or commit into a branch: 201 with the merge, 204 if nothing is to be merged, 409 for conflicts."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    base = branch_ref(body.base.removeprefix("refs/heads/"))
    async with open_code(engine, repository.store_id) as code:
        if code.snapshot.find(base) is None:
            raise NotFound("Base does not exist")
        head = await revision_named(code, body.head.encode("utf-8", "replace") or b"?")
    merged = await merge_branch(
        engine,
        actor,
        repository,
        base=base,
        head=head.commit_oid,
        head_label=body.head,
        message=body.commit_message,
        clock=context.site.clock,
    )
    if merged is None:
        return ApiAnswer(None, 204)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        commit = await code.commit(merged.oid)
        authors = await authors_of(context, [commit])
        body_json = commit_json(links, commit, authors, await signatures_of(context, code, [merged.oid]))
    return ApiAnswer(body_json, 201)


async def _answer(context: RequestContext, engine: Engine, repository: RepositoryView, ref: RefValue) -> Json:
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        return ref_json(links, ref, (await code.kinds([ref.oid]))[0])


route_handlers: list[HTTPRouteHandler] = [post_ref, patch_ref, remove_ref, post_merge]
