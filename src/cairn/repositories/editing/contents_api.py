"""Files written over REST: ``PUT`` and ``DELETE`` of ``contents``, one commit each."""

import asyncio

import msgspec
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, RefName, Signature
from cairn.repositories.api_routes import REPOSITORY, follows_renames, read_repository, rest_of_path
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.git_serializers import entry_json, git_commit_json
from cairn.repositories.code.revisions import Place, Revision, RevisionKind
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.editing.api_bodies import PersonSent, base64_of, missing, oid_of, signature_of
from cairn.repositories.editing.changes import Change, DeleteFile, FileExists, FileMissing, PutFile
from cairn.repositories.editing.commit_changes import Committed, commit_changes
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView, branch_ref
from cairn.repositories.serializers import Json, links_of
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.routing import api


class FileSent(msgspec.Struct, kw_only=True):
    """The body of writing a file; ``sha`` is the blob it replaces, absent for a new file."""

    message: str
    content: str
    sha: str | None = None
    branch: str | None = None
    author: PersonSent | None = None
    committer: PersonSent | None = None


class FileDeletion(msgspec.Struct, kw_only=True):
    """The body of deleting a file; each field may stand in the query instead."""

    message: str | None = None
    sha: str | None = None
    branch: str | None = None
    author: PersonSent | None = None
    committer: PersonSent | None = None


@api.put(f"{REPOSITORY}/contents/{{address:path}}", action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def put_contents(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: FileSent
) -> ApiAnswer:
    """Create a file (201) or replace the one whose ``sha`` is given (200)."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    path = rest_of_path(context, "contents")
    # Ten megabytes take some ten milliseconds.
    content = await asyncio.to_thread(base64_of, body.content)
    expected = ZERO_OID if body.sha is None else oid_of(body.sha, "sha")
    author, committer = _signatures(context, body)
    try:
        done = await commit_changes(
            engine,
            actor,
            repository,
            branch=_branch(repository, body.branch),
            changes=[PutFile(path, content, expected=expected)],
            message=body.message,
            author=author,
            committer=committer,
            clock=context.site.clock,
        )
    except FileExists:
        raise missing("sha") from None
    async with open_code(engine, repository.store_id) as code:
        commit = await _commit_json(context, code, repository, done)
        name = done.branch.removeprefix(BRANCH_PREFIX)
        entry = await code.entry(Place(Revision(RevisionKind.BRANCH, name, done.oid), path))
    links = links_of(context, repository.owner, repository.name)
    written = entry_json(links, name, path, kind="file", oid=entry.oid, size_bytes=len(content))
    return ApiAnswer({"content": written, "commit": commit}, 201 if body.sha is None else 200)


@api.delete(f"{REPOSITORY}/contents/{{address:path}}", action=Action.REPOSITORY_PUSH, resource="repository", status=200)
@follows_renames
async def delete_contents(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: FileDeletion
) -> Json:
    """Delete the file whose ``sha`` is given."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    query = context.request.query_params
    message, sha = body.message or query.get("message"), body.sha or query.get("sha")
    if message is None:
        raise missing("message")
    if sha is None:
        raise missing("sha")
    author, committer = _signatures(context, body)
    changes: list[Change] = [DeleteFile(rest_of_path(context, "contents"), oid_of(sha, "sha"))]
    try:
        done = await commit_changes(
            engine,
            actor,
            repository,
            branch=_branch(repository, body.branch or query.get("branch")),
            changes=changes,
            message=message,
            author=author,
            committer=committer,
            clock=context.site.clock,
        )
    except FileMissing:
        raise NotFound("Not Found") from None
    async with open_code(engine, repository.store_id) as code:
        return {"content": None, "commit": await _commit_json(context, code, repository, done)}


def _branch(repository: RepositoryView, name: str | None) -> RefName:
    return branch_ref(name.removeprefix("refs/heads/")) if name else repository.head_target


def _signatures(context: RequestContext, body: FileSent | FileDeletion) -> tuple[Signature | None, Signature | None]:
    """Return author and committer; None for the actor. Who gives one alone gives the author too."""
    now = context.site.clock()
    committer = None if body.committer is None else signature_of(body.committer, "committer", now=now)
    author = committer if body.author is None else signature_of(body.author, "author", now=now)
    return author, committer


async def _commit_json(context: RequestContext, code: Code, repository: RepositoryView, done: Committed) -> Json:
    links = links_of(context, repository.owner, repository.name)
    return git_commit_json(links, await code.commit(done.oid), await signatures_of(context, code, [done.oid]))


route_handlers: list[HTTPRouteHandler] = [put_contents, delete_contents]
