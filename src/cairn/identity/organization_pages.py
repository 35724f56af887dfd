"""Pages of an organization: founding one, the own ones, its people; ``frame_of`` for all its pages."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import load_organization
from cairn.access.decide import decide
from cairn.access.roles import OrganizationRole
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid, Unauthenticated
from cairn.base.ids import RowId
from cairn.identity.invitations import list_invitations
from cairn.identity.organization_members import (
    list_members,
    list_memberships,
    may_add_at_once,
    publish_membership,
    put_member,
    remove_member,
)
from cairn.identity.organizations import OrganizationView, create_organization, find_organization
from cairn.identity.own_invitations import offers_to
from cairn.identity.settings_frame import own_account, show_settings
from cairn.identity.teams import list_teams
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


class InviteForm(msgspec.Struct):
    """Who is to be invited, by name or address, into what; site administrators may add people without asking them."""

    invitee: Filled
    role: OrganizationRole = OrganizationRole.MEMBER
    teams: list[RowId] = []
    at_once: bool = False


class MemberForm(msgspec.Struct):
    """A member and what they are to be."""

    username: Filled
    role: OrganizationRole = OrganizationRole.MEMBER


class PersonForm(msgspec.Struct):
    """The person a button stands beside."""

    username: Filled


class ShowForm(msgspec.Struct):
    """Whether everybody sees a membership."""

    username: Filled
    public: bool = False


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
    """Show the organizations somebody belongs to, and those that invite them."""
    places = await list_memberships(session, actor, own_account(actor))
    offers = await offers_to(session, actor)
    return show_settings(context, "organizations.html", "organizations", places=places, offers=offers)


@page.get(f"{PATH}/people", action=Action.ORGANIZATION_READ, resource="account")
async def people(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show who belongs to the organization; to who does not, those who show it."""
    organization = await find_organization(session, actor, org)
    return await show_people(context, session, actor, organization)


async def show_people(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    form: Form[InviteForm] | None = None,
) -> Response[str]:
    """Show who belongs to an organization; to its owners also who is invited, and the form that invites people."""
    asked = PageRequest(read_page(context).page, PER_PAGE)
    found = await list_members(session, actor, organization.id, page=asked.page, per_page=PER_PAGE)
    frame = await frame_of(session, actor, organization, "people")
    form = form or blank_form(InviteForm, teams=[], invitee="")
    return render(
        context,
        "identity/organization_people.html",
        status=422 if form.has_problems else 200,
        **frame,
        **(await _invited(session, actor, organization) if frame["may_edit_members"] else {}),
        found=found,
        form=form,
        number=asked.page,
        has_more=asked.offset + len(found.items) < found.total,
        roles=[(role.value, role.value.capitalize()) for role in OrganizationRole],
    )


async def _invited(session: AsyncSession, actor: Actor, organization: OrganizationView) -> dict[str, Any]:
    """Return what owners see of invitations: the newest hundred of each list, and the teams to invite into."""
    waiting = await list_invitations(session, actor, organization.id, per_page=100)
    failed = await list_invitations(session, actor, organization.id, is_open=False, per_page=100)
    listed = await list_teams(session, actor, organization.id, per_page=100)
    return {
        "invitations": [*waiting.items, *failed.items],
        "waiting": waiting.total,
        "teams": [(team.id, team.name) for team in listed.items],
        "may_add_at_once": may_add_at_once(actor),
    }


@page.post(f"{PATH}/people", action=Action.ORGANIZATION_EDIT_MEMBERS, resource="account")
async def put_person(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Make a member an owner, or an owner a member."""
    wanted = (await read_form(request, MemberForm)).require()
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
    try:
        member = await put_member(session, actor, organization.id, login=wanted.username, role=wanted.role)
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


async def frame_of(session: AsyncSession, actor: Actor, organization: OrganizationView, section: str) -> dict[str, Any]:
    """Return what every page of an organization shows around its own part."""
    scope = await load_organization(session, actor, organization.id)
    assert scope is not None, "it was read in this transaction"

    def may(action: Action) -> bool:
        return decide(actor, action, scope).allowed

    offers = await offers_to(session, actor) if scope.role is None else []
    base = path_join("orgs", organization.login)
    tabs = [
        ("Repositories", path_join(organization.login), "repo", None, section == "repositories"),
        ("People", f"{base}/people", "people", None, section == "people"),
    ]
    if may(Action.ORGANIZATION_READ_PRIVATE):
        tabs.append(("Teams", f"{base}/teams", "organization", None, section == "teams"))
    if may(Action.ORGANIZATION_EDIT_MEMBERS):
        outside = f"{base}/outside-collaborators"
        tabs.append(("Outside collaborators", outside, "person", None, section == "outside"))
    if may(Action.REPOSITORY_RESTORE):
        tabs.append(("Deleted", f"{base}/deleted", "trash", None, section == "deleted"))
    if may(Action.ORGANIZATION_EDIT):
        settings = path_join("organizations", organization.login, "settings")
        tabs.append(("Settings", settings, "gear", None, section == "settings"))
    return {
        "organization": organization,
        "organization_tabs": tabs,
        "base": base,
        "offer": next((one for one in offers if one.organization_id == organization.id), None),
        "may_edit_members": may(Action.ORGANIZATION_EDIT_MEMBERS),
        "may_create_teams": may(Action.TEAM_CREATE),
        "may_create_repositories": may(Action.REPOSITORY_CREATE),
    }


route_handlers: list[HTTPRouteHandler] = [
    new,
    create,
    own_organizations,
    people,
    put_person,
    remove_person,
    show_person,
]
