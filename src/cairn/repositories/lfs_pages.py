"""The settings page of large objects: how much there is, two switches, and the locks that maintainers can release."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.lfs.locks import list_locks, release_lock
from cairn.lfs.objects import usage_of
from cairn.repositories.lfs_access import make_authorize
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import find_repository
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_PATH = "/{owner:str}/{repo:str}/settings/lfs"


class LargeFilesForm(msgspec.Struct):
    """Whether archives have large objects, and whether pushes may name what is lost."""

    has_lfs_in_archives: bool = False
    allows_lost_lfs: bool = False


class ChosenLock(msgspec.Struct):
    """The lock whose button was pressed."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


@page.get(_PATH, action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def large_files(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, after: str = ""
) -> Response[Any]:
    """Show how much the repository has, and a page of its locks."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_MAINTAIN)
    return render(
        context,
        "repositories/lfs.html",
        **header_of(context, actor, repository, "settings"),
        may_administer=decide(actor, Action.REPOSITORY_ADMINISTER, repository.scope).allowed,
        usage=await usage_of(session, repository.id),
        form=blank_form(
            LargeFilesForm,
            has_lfs_in_archives=repository.has_lfs_in_archives,
            allows_lost_lfs=repository.allows_lost_lfs,
        ),
        quota_bytes=context.settings.max_lfs_repository_bytes,
        page=await list_locks(session, repository.id, cursor=after),
    )


@page.post(_PATH, action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def save_large_files(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Keep what archives have and what pushes may name."""
    wanted = (await read_form(request, LargeFilesForm)).require()
    repository = await find_repository(session, actor, owner, repo)
    change = RepositoryChange(has_lfs_in_archives=wanted.has_lfs_in_archives, allows_lost_lfs=wanted.allows_lost_lfs)
    await update_repository(session, engine, actor, repository.id, change)
    context.flash("The settings of large files are saved.")
    return redirect(path_join(repository.owner, repository.name, "settings", "lfs"))


@page.post(f"{_PATH}/unlock", action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def unlock(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Release a lock, whoever holds it."""
    form = await read_form(request, ChosenLock)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_MAINTAIN)
    authorize = make_authorize(actor, repository.id)
    lock = await release_lock(session, authorize, repository.id, form.require().id, force=True)
    context.flash(f"{lock.path} is no longer locked by {lock.owner}.")
    return redirect(path_join(repository.owner, repository.name, "settings", "lfs"))


route_handlers: list[HTTPRouteHandler] = [large_files, save_large_files, unlock]
