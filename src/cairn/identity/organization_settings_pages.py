"""An organization's settings, for its owners: profile, what members may, deletion."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import BasePermission
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid
from cairn.identity.organization_pages import frame_of
from cairn.identity.organizations import (
    OrganizationChange,
    OrganizationView,
    delete_organization,
    find_organization,
    update_organization,
)
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

PATH = "/organizations/{org:str}/settings"
SECTIONS = (
    ("profile", "General", "", "gear"),
    ("rules", "Rules", "/rules", "shield-check"),
    ("tokens", "Tokens", "/tokens", "key"),
    ("audit", "Audit log", "/audit-log", "history"),
)
BASE_PERMISSIONS = [
    (BasePermission.NONE.value, "None: only what a team or a role gives"),
    (BasePermission.READ.value, "Read"),
    (BasePermission.WRITE.value, "Write"),
    (BasePermission.ADMIN.value, "Admin"),
]


class OrganizationForm(msgspec.Struct):
    """Profile and policies."""

    name: str = ""
    description: str = ""
    website: str = ""
    location: str = ""
    base_permission: BasePermission = BasePermission.READ
    members_can_create_repositories: bool = False
    members_can_create_teams: bool = False
    token_lifetime_max_days: int = 0


class DeleteOrganizationForm(msgspec.Struct):
    """The name, typed, so that nobody deletes by a slip."""

    login: str = ""


@page.get(PATH, action=Action.ORGANIZATION_EDIT, resource="account")
async def settings(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show what owners can change."""
    return await _show(context, session, actor, await find_organization(session, actor, org, Action.ORGANIZATION_EDIT))


async def _show(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    *,
    form: Form[OrganizationForm] | None = None,
    deletion: Form[DeleteOrganizationForm] | None = None,
) -> Response[str]:
    known = {field: getattr(organization, field) for field in OrganizationForm.__struct_fields__}
    return render(
        context,
        "identity/organization_settings.html",
        status=200 if form is None and deletion is None else 422,
        **await settings_frame(session, actor, organization, "profile"),
        form=form or blank_form(OrganizationForm, **known),
        deletion=deletion or blank_form(DeleteOrganizationForm),
        permissions=BASE_PERMISSIONS,
    )


async def settings_frame(
    session: AsyncSession, actor: Actor, organization: OrganizationView, section: str
) -> dict[str, Any]:
    """Return what every page of an organization's settings shows around its own part, ``section`` marked as open."""
    base = path_join("organizations", organization.login, "settings")
    sections = [(text, base + path, icon, name == section) for name, text, path, icon in SECTIONS]
    return {**await frame_of(session, actor, organization, "settings"), "sections": sections, "settings_path": base}


@page.post(PATH, action=Action.ORGANIZATION_EDIT, resource="account")
async def save(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Keep profile and policies."""
    form = await read_form(request, OrganizationForm)
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    try:
        change = OrganizationChange(**msgspec.structs.asdict(form.require()))
        await update_organization(session, actor, organization.id, change)
    except Invalid as error:
        return await _show(context, session, actor, organization, form=form.reject(error))
    context.flash("The settings are saved.")
    return redirect(path_join("organizations", organization.login, "settings"))


@page.post(f"{PATH}/delete", action=Action.ORGANIZATION_DELETE, resource="account", sudo=True)
async def delete(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Delete the organization if its name was typed and it owns nothing any more."""
    form = await read_form(request, DeleteOrganizationForm)
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_DELETE)
    if form.require().login.strip().lower() != organization.login.lower():
        problem = FieldProblem("login", "invalid", f"Type {organization.login} to delete it.")
        wrong = form.reject(Invalid(problem.message, problem))
        return await _show(context, session, actor, organization, deletion=wrong)
    try:
        await delete_organization(session, actor, organization.id)
    except Conflict as error:
        context.flash(error.message, "warning")
        return redirect(path_join("organizations", organization.login, "settings"))
    context.flash(f"{organization.login} is deleted.")
    return redirect("/settings/organizations")


route_handlers: list[HTTPRouteHandler] = [settings, save, delete]
