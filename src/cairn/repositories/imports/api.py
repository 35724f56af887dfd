"""Imports over REST, in the shape of GitHub's former source imports: begin, look, go on, cancel."""

from typing import Annotated

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.repositories.api_routes import REPOSITORY, follows_renames
from cairn.repositories.imports.credentials import check_credentials
from cairn.repositories.imports.login import read_ssh_facts
from cairn.repositories.imports.models import FailureKind, ImportState, ImportStep, RepositoryImport
from cairn.repositories.imports.start import (
    NoImport,
    Wanted,
    cancel_import,
    read_import,
    retry_import,
    start_import,
)
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.serializers import Json
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.routing import api

_IMPORT = f"{REPOSITORY}/import"
_TEXTS = {
    "detecting": "Asking the source for its branches and tags...",
    "importing": "Importing...",
    "pushing": "Storing...",
    "complete": "Done",
    "auth_failed": "The source wants other credentials.",
    "error": "The import failed.",
    "cancelled": "The import was cancelled.",
}
_OF_STEP = {
    ImportStep.WAITING: "detecting",
    ImportStep.LISTING: "detecting",
    ImportStep.FETCHING: "importing",
    ImportStep.LANDING: "pushing",
    ImportStep.LFS: "importing",
    ImportStep.WIKI: "importing",
    ImportStep.DONE: "complete",
}


class ImportWanted(msgspec.Struct, kw_only=True):
    """The body of beginning an import. ``use_lfs``, ``use_wiki`` and ``default_branch_only`` are ours."""

    vcs_url: Annotated[str, Meta(min_length=1)]
    vcs: str = "git"
    vcs_username: str = ""
    vcs_password: str = ""
    tfvc_project: str = ""
    use_lfs: bool = True
    use_wiki: bool = True
    default_branch_only: bool = False


class ImportChange(msgspec.Struct, kw_only=True):
    """The body of going on with an import; what is absent is not used."""

    vcs_username: str = ""
    vcs_password: str = ""
    vcs: str = "git"
    tfvc_project: str = ""


@api.put(_IMPORT, action=Action.REPOSITORY_ADMINISTER, resource="repository")
@follows_renames
async def begin(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: ImportWanted
) -> ApiAnswer:
    """Begin an import into a repository that is empty."""
    _require_git(body.vcs, body.tfvc_project)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    wanted = Wanted(
        url=body.vcs_url,
        credentials=check_credentials(body.vcs_username, body.vcs_password),
        with_lfs=body.use_lfs,
        with_wiki=body.use_wiki,
        default_branch_only=body.default_branch_only,
    )
    row = await start_import(session, context.settings, actor, repository.id, wanted)
    return ApiAnswer(await import_json(context, session, repository, row), 201)


@api.get(_IMPORT, action=Action.REPOSITORY_ADMINISTER, resource="repository")
@follows_renames
async def look(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Json:
    """Answer how far the import is."""
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    row = await read_import(session, repository.id)
    if row is None:
        raise NoImport
    return await import_json(context, session, repository, row)


@api.patch(_IMPORT, action=Action.REPOSITORY_ADMINISTER, resource="repository")
@follows_renames
async def go_on(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: ImportChange
) -> Json:
    """Go on with an import that failed or was cancelled, with other credentials if there are some."""
    _require_git(body.vcs, body.tfvc_project)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    credentials = check_credentials(body.vcs_username, body.vcs_password)
    row = await retry_import(session, context.settings, actor, repository.id, credentials)
    return await import_json(context, session, repository, row)


@api.delete(_IMPORT, action=Action.REPOSITORY_ADMINISTER, resource="repository")
@follows_renames
async def cancel(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> None:
    """End an import that is under way; what has come stays."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    await cancel_import(session, actor, repository.id)


def _require_git(vcs: str, tfvc_project: str) -> None:
    if vcs not in {"", "git"} or tfvc_project:
        message = "Only Git repositories can be imported."
        raise Invalid(message, FieldProblem("vcs", "invalid", message, "Import"))


async def import_json(
    context: RequestContext, session: AsyncSession, repository: RepositoryView, row: RepositoryImport
) -> Json:
    """Return an import in GitHub's shape, with our counts beside."""
    ssh = await read_ssh_facts(session, row.account_id, row.url)
    status = _status(row)
    origin = context.settings.origin
    api_url = f"{origin}/api/v3/repos/{repository.full_name}"
    return {
        "vcs": "git",
        "use_lfs": row.with_lfs,
        "vcs_url": row.url,
        "status": status,
        "status_text": _TEXTS[status],
        "failed_step": row.step.value if row.state is ImportState.FAILED else None,
        "error_message": row.failure or None,
        "message": row.note,
        "percent": row.percent,
        "import_percent": row.percent,
        "commit_count": None,
        "authors_count": 0,
        "has_large_files": False,
        "large_files_size": 0,
        "large_files_count": 0,
        "url": f"{api_url}/import",
        "html_url": f"{origin}/{repository.full_name}/import",
        "authors_url": f"{api_url}/import/authors",
        "repository_url": api_url,
        "refs_done": row.refs_done,
        "refs_total": row.refs_total,
        "lfs_objects_done": row.lfs_done,
        "lfs_objects_total": row.lfs_total,
        "ssh": ssh.json() if ssh else None,
    }


def _status(row: RepositoryImport) -> str:
    if row.state is ImportState.FAILED:
        return "auth_failed" if row.failure_kind is FailureKind.UNAUTHORIZED else "error"
    return "cancelled" if row.state is ImportState.CANCELLED else _OF_STEP[row.step]


route_handlers: list[HTTPRouteHandler] = [begin, look, go_on, cancel]
