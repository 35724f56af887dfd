"""Administration of deleted repositories: all of the installation, also those whose owner is gone."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.ops.admin_frame import PATH, show
from cairn.repositories.life.deleted import list_all_deleted
from cairn.repositories.life.deleted_pages import erase_by_form, listing, restore_by_form
from cairn.web.api import read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form
from cairn.web.render import redirect
from cairn.web.routing import page

DELETED = f"{PATH}/deleted"
_ADMINISTER: Any = {"action": Action.SITE_ADMINISTER, "resource": "site"}


@page.get(DELETED, **_ADMINISTER)
async def deleted_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show what was deleted and can be restored."""
    return await _show(context, session, actor)


async def _show(
    context: RequestContext, session: AsyncSession, actor: Actor, wrong: Form[Any] | None = None
) -> Response[str]:
    deleted = await list_all_deleted(session, actor, page=read_page(context).page)
    return show(
        context,
        "admin_deleted.html",
        "/deleted",
        status=200 if wrong is None else 422,
        **listing(context, deleted, action=DELETED, wrong=wrong, is_site=True),
    )


@page.post(f"{DELETED}/restore", **_ADMINISTER)
async def restore(context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest) -> Response[Any]:
    """Restore a repository, to another account if its owner is gone, and open it."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    done = await restore_by_form(context, session, actor, request)
    return redirect(done) if isinstance(done, str) else await _show(context, session, actor, done)


@page.post(f"{DELETED}/erase", **_ADMINISTER, sudo=True)
async def erase(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, request: WebRequest
) -> Response[Any]:
    """Erase a deleted repository before its time."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    await erase_by_form(context, session, engine, actor, request)
    return redirect(DELETED)


route_handlers: list[HTTPRouteHandler] = [deleted_page, restore, erase]
