"""The page where a person or an organization chooses what they show first."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.identity.organizations import find_organization
from cairn.identity.settings_frame import own_account
from cairn.repositories.life.pins import PINS_MAX, authorize_pins, list_pins, set_pins
from cairn.repositories.lists import RepositoryFilter, RepositorySort, list_repositories
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

OFFERED_MAX = 100
_OWN = "/settings/pins"
_OF_ORGANIZATION = "/orgs/{org:str}/pins"


class PinsForm(msgspec.Struct):
    """The chosen repositories, by number."""

    repositories: list[str] = msgspec.field(default_factory=list)


@page.get(_OWN, action=Action.ACCOUNT_EDIT, resource="none")
async def own(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show what somebody may pin to their profile."""
    return await _show(context, session, actor, own_account(actor), actor.login or "", _OWN)


@page.post(_OWN, action=Action.ACCOUNT_EDIT, resource="none")
async def save_own(context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest) -> Response[Any]:
    """Pin the chosen repositories to the own profile."""
    return await _save(context, session, actor, request, own_account(actor), actor.login or "", _OWN)


@page.get(_OF_ORGANIZATION, action=Action.ORGANIZATION_EDIT, resource="account")
async def of_organization(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show what an organization may pin."""
    found = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    return await _show(context, session, actor, found.id, found.login, path_join("orgs", found.login, "pins"))


@page.post(_OF_ORGANIZATION, action=Action.ORGANIZATION_EDIT, resource="account")
async def save_of_organization(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, org: str
) -> Response[Any]:
    """Pin the chosen repositories of an organization."""
    found = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    return await _save(context, session, actor, request, found.id, found.login, path_join("orgs", found.login, "pins"))


async def _save(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    request: WebRequest,
    account_id: int,
    login: str,
    place: str,
) -> Response[Any]:
    form = await read_form(request, PinsForm)
    chosen = [int(one) for one in form.require().repositories if one.isascii() and one.isdecimal() and len(one) < 19]
    try:
        await set_pins(session, actor, account_id, chosen)
    except Invalid as error:
        return await _show(context, session, actor, account_id, login, place, form.reject(error))
    context.flash("The pins are saved.")
    return redirect(path_join(login))


async def _show(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    account_id: int,
    login: str,
    place: str,
    wrong: Form[PinsForm] | None = None,
) -> Response[str]:
    await authorize_pins(session, actor, account_id)
    pins = await list_pins(session, actor, account_id)
    offered = await list_repositories(
        session,
        actor,
        RepositoryFilter(owner_id=account_id),
        sort=RepositorySort.PUSHED,
        descending=True,
        per_page=OFFERED_MAX,
    )
    pinned = {one.id for one in pins}
    choices = [*pins, *(one for one in offered.items if one.id not in pinned)]
    chosen = [str(one.id) for one in pins] if wrong is None else wrong.values["repositories"]
    return render(
        context,
        "repositories/pins.html",
        status=200 if wrong is None else 422,
        headers={"Cache-Control": "no-store"},
        form=wrong or blank_form(PinsForm),
        choices=choices,
        chosen=chosen,
        login=login,
        place=place,
        most=PINS_MAX,
    )


route_handlers: list[HTTPRouteHandler] = [own, save_own, of_organization, save_of_organization]
