"""Archives over REST: the address of one, as GitHub answers it, with a token of its own where signing in is needed."""

from urllib.parse import quote

from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.git.archive import ArchiveFormat
from cairn.git.engine import Engine
from cairn.repositories.api_routes import REPOSITORY, follows_renames, read_repository, rest_of_path, revision_named
from cairn.repositories.archives.links import make_link_token
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.renamed_branches import renamed_revision
from cairn.repositories.code.revisions import Revision, RevisionKind, RevisionNotFound
from cairn.repositories.queries import RepositoryView
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.routing import api
from cairn.web.urls import path_join

_REFS = {RevisionKind.BRANCH: b"refs/heads/", RevisionKind.TAG: b"refs/tags/", RevisionKind.COMMIT: b""}


@api.get(
    f"{REPOSITORY}/tarball",
    f"{REPOSITORY}/tarball/{{address:path}}",
    action=Action.REPOSITORY_READ,
    resource="repository",
)
@follows_renames
async def tarball(context: RequestContext, engine: Engine, owner: str, repo: str) -> ApiAnswer:
    """Redirect to a revision's ``.tar.gz``; the default branch's without a name."""
    return await _redirect(context, engine, owner, repo, "tarball", ArchiveFormat.TAR_GZ)


@api.get(
    f"{REPOSITORY}/zipball",
    f"{REPOSITORY}/zipball/{{address:path}}",
    action=Action.REPOSITORY_READ,
    resource="repository",
)
@follows_renames
async def zipball(context: RequestContext, engine: Engine, owner: str, repo: str) -> ApiAnswer:
    """Redirect to a revision's ``.zip``; the default branch's without a name."""
    return await _redirect(context, engine, owner, repo, "zipball", ArchiveFormat.ZIP)


async def _redirect(
    context: RequestContext, engine: Engine, owner: str, repo: str, verb: str, form: ArchiveFormat
) -> ApiAnswer:
    repository = await read_repository(context, owner, repo)
    async with open_code(engine, repository.store_id) as code:
        revision = await _revision(context, repository, code, rest_of_path(context, verb))
    address = _REFS[revision.kind] + revision.name + f".{form.value}".encode()
    location = context.settings.origin + path_join(repository.owner, repository.name, "archive", address)
    token = make_link_token(context, repository.id, address) if repository.is_private else ""
    if token:
        location += f"?token={quote(token)}"
    return ApiAnswer({}, 302, {"Location": location, "Cache-Control": "no-store"})


async def _revision(context: RequestContext, repository: RepositoryView, code: Code, name: bytes) -> Revision:
    """Return what a client names, also by a branch's former name. Errors: RevisionNotFound."""
    try:
        return await revision_named(code, name)
    except RevisionNotFound:
        present = await renamed_revision(context, repository, name)
        if present is None:
            raise
        return await revision_named(code, present)


route_handlers: list[HTTPRouteHandler] = [tarball, zipball]
