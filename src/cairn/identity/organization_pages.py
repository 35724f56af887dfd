"""Pages of an organization: founding one, the own ones, its people, its teams."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import load_organization
from cairn.access.decide import decide
from cairn.access.roles import OrganizationRole, TeamPrivacy
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid, Unauthenticated
from cairn.identity.organization_members import (
    list_members,
    list_memberships,
    publish_membership,
    put_member,
    remove_member,
)
from cairn.identity.organizations import OrganizationView, create_organization, find_organization
from cairn.identity.settings_frame import own_account, show_settings
from cairn.identity.teams import TeamView, create_team, list_teams
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

PATH = "/orgs/{org:str}"
PER_PAGE = 50
Filled = Annotated[str, Meta(min_length=1)]


class NewOrganizationForm(msgspec.Struct):
    """An organization to be."""

    login: Filled
    name: str = ""


class MemberForm(msgspec.Struct):
    """Somebody and what they are to be."""

    username: Filled
    role: OrganizationRole = OrganizationRole.MEMBER


class PersonForm(msgspec.Struct):
    """The person a button stands beside."""

    username: Filled


class ShowForm(msgspec.Struct):
    """Whether everybody sees a membership."""

    username: Filled
    public: bool = False


class NewTeamForm(msgspec.Struct):
    """A team to be; an empty parent puts it at the top."""

    name: Filled
    description: str = ""
    privacy: TeamPrivacy = TeamPrivacy.CLOSED
    parent: str = ""


@page.get("/organizations/new", action=Action.ORGANIZATION_CREATE, resource="none")
async def new(context: RequestContext, actor: Actor) -> Response[str]:
    """Show the form for a new organization."""
    if not actor.is_signed_in:
        raise Unauthenticated("Sign in to found an organization.")
    return render(context, "identity/new_organization.html", form=blank_form(NewOrganizationForm))


@page.post("/organizations/new", action=Action.ORGANIZATION_CREATE, resource="none")
async def create(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Found the organization and open it."""
    form = await read_form(request, NewOrganizationForm)
    try:
        wanted = form.require()
        made = await create_organization(session, actor, login=wanted.login.strip(), name=wanted.name)
    except Invalid as error:
        await session.rollback()  # a name that another one took first leaves the transaction unusable
        return render(context, "identity/new_organization.html", status=422, form=form.reject(error))
    context.flash(f"{made.login} is yours. Let people in, and give them repositories.")
    return redirect(path_join(made.login))


@page.get("/settings/organizations", action=Action.ACCOUNT_READ_PRIVATE, resource="none")
async def own_organizations(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show the organizations somebody belongs to."""
    places = await list_memberships(session, actor, own_account(actor))
    return show_settings(context, "organizations.html", "organizations", places=places)


@page.get(f"{PATH}/people", action=Action.ORGANIZATION_READ, resource="account")
async def people(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show who belongs to the organization; to who does not, those who show it."""
    organization = await find_organization(session, actor, org)
    return await _people(context, session, actor, organization, blank_form(MemberForm))


async def _people(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    form: Form[MemberForm],
) -> Response[str]:
    asked = PageRequest(read_page(context).page, PER_PAGE)
    found = await list_members(session, actor, organization.id, page=asked.page, per_page=PER_PAGE)
    return render(
        context,
        "identity/organization_people.html",
        status=422 if form.has_problems else 200,
        **await frame_of(session, actor, organization, "people"),
        found=found,
        form=form,
        number=asked.page,
        has_more=asked.offset + len(found.items) < found.total,
        roles=[(role.value, role.value.capitalize()) for role in OrganizationRole],
    )


@page.post(f"{PATH}/people", action=Action.ORGANIZATION_EDIT_MEMBERS, resource="account")
async def put_person(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Make somebody a member or owner."""
    form = await read_form(request, MemberForm)
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
    try:
        wanted = form.require()
        login = wanted.username.strip().removeprefix("@")
        member = await put_member(session, actor, organization.id, login=login, role=wanted.role)
    except Invalid as error:
        return await _people(context, session, actor, organization, form.reject(error))
    except Conflict as error:
        context.flash(error.message, "warning")
    else:
        context.flash(f"{member.login} is {'an owner' if member.role is OrganizationRole.OWNER else 'a member'} now.")
    return redirect(path_join("orgs", organization.login, "people"))


@page.post(f"{PATH}/people/remove", action=Action.ORGANIZATION_LEAVE, resource="account")
async def remove_person(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """End a membership; people may end their own."""
    chosen = (await read_form(request, PersonForm)).require()
    organization = await find_organization(session, actor, org)
    try:
        await remove_member(session, actor, organization.id, login=chosen.username)
    except Conflict as error:
        context.flash(error.message, "warning")
    else:
        context.flash(f"{chosen.username} does not belong to {organization.login} any more.")
    return redirect(path_join("orgs", organization.login, "people"))


@page.post(f"{PATH}/people/visibility", action=Action.ORGANIZATION_LEAVE, resource="account")
async def show_person(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Show a membership to everybody, or to members only."""
    chosen = (await read_form(request, ShowForm)).require()
    organization = await find_organization(session, actor, org)
    await publish_membership(session, actor, organization.id, login=chosen.username, is_public=chosen.public)
    context.flash("Everybody sees it now." if chosen.public else "Only members see it now.")
    return redirect(path_join("orgs", organization.login, "people"))


@page.get(f"{PATH}/teams", action=Action.ORGANIZATION_READ_PRIVATE, resource="account")
async def teams(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show the teams the reader may see, and the form for another one."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_READ_PRIVATE)
    return await _teams(context, session, actor, organization, blank_form(NewTeamForm))


async def _teams(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    form: Form[NewTeamForm],
) -> Response[str]:
    asked = PageRequest(read_page(context).page, PER_PAGE)
    found = await list_teams(session, actor, organization.id, page=asked.page, per_page=PER_PAGE)
    return render(
        context,
        "identity/organization_teams.html",
        status=422 if form.has_problems else 200,
        **await frame_of(session, actor, organization, "teams"),
        found=found,
        form=form,
        number=asked.page,
        has_more=asked.offset + len(found.items) < found.total,
        parents=[("", "None"), *((str(team.id), team.name) for team in found.items if _takes_children(team))],
    )


def _takes_children(team: TeamView) -> bool:
    return team.privacy is not TeamPrivacy.SECRET


@page.post(f"{PATH}/teams", action=Action.TEAM_CREATE, resource="account")
async def add_team(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Make a team."""
    form = await read_form(request, NewTeamForm)
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_READ_PRIVATE)
    try:
        wanted = form.require()
        made = await create_team(
            session,
            actor,
            organization.id,
            name=wanted.name,
            description=wanted.description,
            privacy=wanted.privacy,
            parent_id=int(wanted.parent) if wanted.parent.isdecimal() else None,
        )
    except Invalid as error:
        return await _teams(context, session, actor, organization, form.reject(error))
    context.flash(f"The team {made.name} is there.")
    return redirect(path_join("orgs", organization.login, "teams"))


async def frame_of(session: AsyncSession, actor: Actor, organization: OrganizationView, section: str) -> dict[str, Any]:
    """Return what every page of an organization shows around its own part."""
    scope = await load_organization(session, actor, organization.id)
    assert scope is not None, "it was read in this transaction"

    def may(action: Action) -> bool:
        return decide(actor, action, scope).allowed

    base = path_join("orgs", organization.login)
    tabs = [
        ("Repositories", path_join(organization.login), "repo", None, section == "repositories"),
        ("People", f"{base}/people", "people", None, section == "people"),
    ]
    if may(Action.ORGANIZATION_READ_PRIVATE):
        tabs.append(("Teams", f"{base}/teams", "organization", None, section == "teams"))
    if may(Action.ORGANIZATION_EDIT):
        settings = path_join("organizations", organization.login, "settings")
        tabs.append(("Settings", settings, "gear", None, section == "settings"))
    return {
        "organization": organization,
        "organization_tabs": tabs,
        "base": base,
        "may_edit_members": may(Action.ORGANIZATION_EDIT_MEMBERS),
        "may_create_teams": may(Action.TEAM_CREATE),
    }


route_handlers: list[HTTPRouteHandler] = [
    new,
    create,
    own_organizations,
    people,
    put_person,
    remove_person,
    show_person,
    teams,
    add_team,
]
