"""Pages of deleted repositories: a person's, an organization's, all of the installation; restore and erase."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Conflict, Forbidden, Invalid, NotFound
from cairn.base.ids import RowId
from cairn.git.engine import Engine
from cairn.identity.organization_pages import frame_of
from cairn.identity.organizations import find_organization
from cairn.identity.settings_frame import own_account, settings_sections
from cairn.repositories.life.deleted import (
    LISTED_MAX,
    Deleted,
    authorize_restoring,
    erase_repository,
    list_deleted,
    restore_repository,
)
from cairn.web.api import read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

OWN = "/settings/deleted"
_OF_ORGANIZATION = "/orgs/{org:str}/deleted"
_RESTORE: Any = {"action": Action.REPOSITORY_RESTORE, "resource": "none"}
_RESTORE_THERE: Any = {"action": Action.REPOSITORY_RESTORE, "resource": "account"}


class RestoreForm(msgspec.Struct):
    """Which repository comes back, under which name, and for administrators where."""

    repository: RowId
    name: str = ""
    owner: str = ""


class EraseForm(msgspec.Struct):
    """Which repository goes for good; its name is typed, so that nobody does it by a slip."""

    repository: RowId
    name: str = ""


def listing(
    context: RequestContext, deleted: list[Deleted], *, action: str, wrong: Form[Any] | None, is_site: bool = False
) -> dict[str, Any]:
    """Return what ``repositories/_deleted.html`` wants."""
    number = read_page(context).page
    return {
        "deleted": deleted,
        "form_action": action,
        "wrong": wrong,
        "is_site": is_site,
        "number": number,
        "has_more": len(deleted) == LISTED_MAX,
        "kept_days": context.settings.deleted_kept_days,
    }


async def restore_by_form(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest
) -> Form[RestoreForm] | str:
    """Restore what the form says and return where it is; the form with what is wrong if it cannot be."""
    form = await read_form(request, RestoreForm)
    try:
        wanted = form.require()
        found = await restore_repository(
            session, actor, wanted.repository, name=wanted.name.strip(), owner=wanted.owner.strip().removeprefix("@")
        )
    except (Invalid, Conflict, Forbidden, NotFound) as error:
        await session.rollback()  # it stays deleted
        return form.reject(error if isinstance(error, Invalid) else Invalid(error.message))
    context.flash(f"{found.full_name} is back.")
    return path_join(found.owner, found.name)


async def erase_by_form(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, request: WebRequest
) -> None:
    """Erase what the form says, if the name was typed; a message says what became of it."""
    wanted = (await read_form(request, EraseForm)).require()
    try:
        await erase_repository(session, engine, actor, wanted.repository, typed=wanted.name.strip())
    except CairnError as error:
        await session.rollback()
        context.flash(error.message, "warning")
    else:
        context.flash(f"{wanted.name.strip()} is erased.")


@page.get(OWN, **_RESTORE)
async def own(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show what somebody deleted and can restore."""
    return await _show_own(context, session, actor)


async def _show_own(
    context: RequestContext, session: AsyncSession, actor: Actor, wrong: Form[Any] | None = None
) -> Response[str]:
    deleted = await list_deleted(session, actor, own_account(actor), page=read_page(context).page)
    return render(
        context,
        "repositories/deleted.html",
        status=200 if wrong is None else 422,
        headers={"Cache-Control": "no-store"},
        sections=settings_sections("deleted"),
        **listing(context, deleted, action=OWN, wrong=wrong),
    )


@page.post(f"{OWN}/restore", **_RESTORE)
async def restore_own(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest
) -> Response[Any]:
    """Restore a repository and open it; a name in use is told beside it."""
    await authorize_restoring(session, actor, own_account(actor))
    done = await restore_by_form(context, session, actor, request)
    return redirect(done) if isinstance(done, str) else await _show_own(context, session, actor, done)


@page.post(f"{OWN}/erase", **_RESTORE, sudo=True)
async def erase_own(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, request: WebRequest
) -> Response[Any]:
    """Erase a deleted repository before its time."""
    await authorize_restoring(session, actor, own_account(actor))
    await erase_by_form(context, session, engine, actor, request)
    return redirect(OWN)


@page.get(_OF_ORGANIZATION, **_RESTORE_THERE)
async def of_organization(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show what was deleted of an organization and can be restored, to its owners."""
    return await _show_of(context, session, actor, org)


async def _show_of(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, wrong: Form[Any] | None = None
) -> Response[str]:
    organization = await find_organization(session, actor, org)
    deleted = await list_deleted(session, actor, organization.id, page=read_page(context).page)
    return render(
        context,
        "repositories/organization_deleted.html",
        status=200 if wrong is None else 422,
        headers={"Cache-Control": "no-store"},
        **await frame_of(session, actor, organization, "deleted"),
        **listing(context, deleted, action=path_join("orgs", organization.login, "deleted"), wrong=wrong),
    )


@page.post(f"{_OF_ORGANIZATION}/restore", **_RESTORE_THERE)
async def restore_there(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, org: str
) -> Response[Any]:
    """Restore a repository of an organization and open it."""
    organization = await find_organization(session, actor, org)
    await authorize_restoring(session, actor, organization.id)
    done = await restore_by_form(context, session, actor, request)
    return redirect(done) if isinstance(done, str) else await _show_of(context, session, actor, org, done)


@page.post(f"{_OF_ORGANIZATION}/erase", **_RESTORE_THERE, sudo=True)
async def erase_there(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, request: WebRequest, org: str
) -> Response[Any]:
    """Erase a deleted repository of an organization before its time."""
    organization = await find_organization(session, actor, org)
    await authorize_restoring(session, actor, organization.id)
    await erase_by_form(context, session, engine, actor, request)
    return redirect(path_join("orgs", organization.login, "deleted"))


route_handlers: list[HTTPRouteHandler] = [own, restore_own, erase_own, of_organization, restore_there, erase_there]
