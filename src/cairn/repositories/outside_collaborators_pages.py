"""The page of an organization's outside collaborators, for owners: who works on which repositories."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFound
from cairn.identity.organization_members import remove_member, remove_outside_collaborator
from cairn.identity.organization_pages import frame_of
from cairn.identity.organizations import OrganizationView, find_organization
from cairn.identity.team_pages import paging
from cairn.repositories.outside_collaborators import list_outsiders
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

PER_PAGE = 50
_PATH = "/orgs/{org:str}/outside-collaborators"
_MEMBERS: Any = {"action": Action.ORGANIZATION_EDIT_MEMBERS, "resource": "account"}


class OutsiderForm(msgspec.Struct):
    """A member who is to work on single repositories only."""

    username: Annotated[str, Meta(min_length=1)]


@page.get(_PATH, **_MEMBERS)
async def outsiders(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show who works on the organization's repositories without being a member."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
    return await _show(context, session, actor, organization, blank_form(OutsiderForm))


async def _show(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    form: Form[OutsiderForm],
) -> Response[str]:
    asked = PageRequest(read_page(context).page, PER_PAGE)
    found = await list_outsiders(session, actor, organization.id, page=asked.page, per_page=PER_PAGE)
    return render(
        context,
        "repositories/outside_collaborators.html",
        status=422 if form.has_problems else 200,
        **await frame_of(session, actor, organization, "outside"),
        **paging(asked, len(found.items), found.total),
        found=found,
        form=form,
    )


@page.post(_PATH, **_MEMBERS)
async def make_outsider(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Make a member an outside collaborator, who keeps what they were granted on single repositories."""
    form = await read_form(request, OutsiderForm)
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
    try:
        login = form.require().username.strip().removeprefix("@")
        await remove_member(session, actor, organization.id, login=login, keep_grants=True)
    except Invalid as error:
        return await _show(context, session, actor, organization, form.reject(error))
    except (Conflict, NotFound) as error:
        wrong = Invalid(error.message, FieldProblem("username", "invalid", error.message))
        return await _show(context, session, actor, organization, form.reject(wrong))
    context.flash(f"{login} is no member any more, and keeps the roles of their own on single repositories.")
    return redirect(path_join("orgs", organization.login, "outside-collaborators"))


@page.post(f"{_PATH}/remove", **_MEMBERS)
async def remove_outsider(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Take every role on the organization's repositories from somebody who is no member."""
    login = (await read_form(request, OutsiderForm)).require().username
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
    await remove_outside_collaborator(session, actor, organization.id, login=login)
    context.flash(f"{login} has no role on any repository of {organization.login} any more.")
    return redirect(path_join("orgs", organization.login, "outside-collaborators"))


route_handlers: list[HTTPRouteHandler] = [outsiders, make_outsider, remove_outsider]
