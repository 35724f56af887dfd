"""Pages of teams: the tree of an organization's teams, a new one, a team's people, child teams and settings.

A team's repositories are ``repositories``' business; its page stands in the same frame (``team_frame``).
"""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import load_team
from cairn.access.decide import decide
from cairn.access.roles import TeamPrivacy, TeamRole
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.identity.organization_pages import frame_of
from cairn.identity.organizations import OrganizationView, find_organization
from cairn.identity.team_members import list_team_members, put_team_member, remove_team_member
from cairn.identity.team_tree import TeamChoice, count_children, list_possible_parents, list_team_tree, teams_above
from cairn.identity.teams import (
    TeamChange,
    TeamView,
    create_team,
    delete_team,
    find_team,
    list_teams,
    move_team,
    update_team,
)
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

TEAMS = "/orgs/{org:str}/teams"
TEAM = f"{TEAMS}/{{slug:str}}"
PER_PAGE = 50
TEXT_LENGTH_MAX = 100
_READ: Any = {"action": Action.TEAM_READ, "resource": "account"}
_EDIT: Any = {"action": Action.TEAM_EDIT, "resource": "account"}
Filled = Annotated[str, Meta(min_length=1)]


class TeamForm(msgspec.Struct):
    """A team as it is to be; an empty parent puts it at the top."""

    name: Filled
    description: str = ""
    privacy: TeamPrivacy = TeamPrivacy.CLOSED
    parent: str = ""


class TeamMemberForm(msgspec.Struct):
    """Somebody and what they are to be in the team."""

    username: Filled
    role: TeamRole = TeamRole.MEMBER


class TeamPersonForm(msgspec.Struct):
    """The person a button stands beside."""

    username: Filled


class DeleteTeamForm(msgspec.Struct):
    """The team's address, typed, so that nobody deletes by a slip."""

    slug: str = ""


@page.get(TEAMS, action=Action.ORGANIZATION_READ_PRIVATE, resource="account")
async def teams(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show the teams the reader may see, each below its parent; ``q`` finds some by name."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_READ_PRIVATE)
    asked, text = PageRequest(read_page(context).page, PER_PAGE), read_text(context)
    found = await list_team_tree(session, actor, organization.id, text=text, page=asked.page, per_page=PER_PAGE)
    return render(
        context,
        "identity/organization_teams.html",
        **await frame_of(session, actor, organization, "teams"),
        **paging(asked, len(found.items), found.total),
        found=found,
        text=text,
    )


@page.get(f"{TEAMS}/new", action=Action.TEAM_CREATE, resource="account")
async def new_team(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show the form for a new team; ``parent`` is the address of one to put it below."""
    organization = await find_organization(session, actor, org, Action.TEAM_CREATE)
    parent = ""
    if slug := context.request.query_params.get("parent", ""):
        parent = str((await find_team(session, actor, organization.id, slug)).id)
    return await _new_team(context, session, actor, organization, blank_form(TeamForm, parent=parent))


async def _new_team(
    context: RequestContext, session: AsyncSession, actor: Actor, organization: OrganizationView, form: Form[TeamForm]
) -> Response[str]:
    return render(
        context,
        "identity/new_team.html",
        status=422 if form.has_problems else 200,
        **await frame_of(session, actor, organization, "teams"),
        form=form,
        parents=_parent_options(await list_possible_parents(session, actor, organization.id)),
    )


@page.post(TEAMS, action=Action.TEAM_CREATE, resource="account")
async def add_team(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Make a team and open it."""
    form = await read_form(request, TeamForm)
    organization = await find_organization(session, actor, org, Action.TEAM_CREATE)
    try:
        wanted = form.require()
        made = await create_team(
            session,
            actor,
            organization.id,
            name=wanted.name,
            description=wanted.description,
            privacy=wanted.privacy,
            parent_id=_parent_id(wanted),
        )
    except Invalid as error:
        return await _new_team(context, session, actor, organization, _at_parent(form, error))
    context.flash(f"The team {made.name} is there.")
    return redirect(team_path(organization, made))


@page.get(TEAM, **_READ)
async def team_people(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[str]:
    """Show who is in a team or below it; ``q`` finds some by name."""
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug)
    return await _people(context, session, actor, organization, team, blank_form(TeamMemberForm))


async def _people(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    team: TeamView,
    form: Form[TeamMemberForm],
) -> Response[str]:
    asked, text = PageRequest(read_page(context).page, PER_PAGE), read_text(context)
    found = await list_team_members(session, actor, team.id, text=text, page=asked.page, per_page=PER_PAGE)
    return render(
        context,
        "identity/team_people.html",
        status=422 if form.has_problems else 200,
        **await team_frame(session, actor, organization, team, "members"),
        **paging(asked, len(found.items), found.total),
        found=found,
        form=form,
        text=text,
        roles=[(role.value, role.value.capitalize()) for role in (TeamRole.MEMBER, TeamRole.MAINTAINER)],
    )


@page.post(f"{TEAM}/members", **_EDIT)
async def put_team_person(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[Any]:
    """Put a member of the organization into the team, or change what they are in it."""
    form = await read_form(request, TeamMemberForm)
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug, Action.TEAM_EDIT)
    try:
        wanted = form.require()
        login = wanted.username.strip().removeprefix("@")
        put = await put_team_member(session, actor, team.id, login=login, role=wanted.role)
    except Invalid as error:
        return await _people(context, session, actor, organization, team, form.reject(error))
    said = f"{put.login} is a {put.role.value} of {team.name} now."
    if put.role is not wanted.role:
        said += " Owners of the organization are maintainers of every team they are in."
    context.flash(said)
    return redirect(team_path(organization, team))


@page.post(f"{TEAM}/members/remove", **_READ)
async def remove_team_person(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[Any]:
    """Take somebody out of the team; people may leave by themselves."""
    form = await read_form(request, TeamPersonForm)
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug)
    login = form.require().username
    await remove_team_member(session, actor, team.id, login=login)
    context.flash(f"{login} is not in {team.name} any more.")
    scope = await load_team(session, actor, team.id)
    may_still_see = scope is not None and decide(actor, Action.TEAM_READ, scope).allowed
    return redirect(team_path(organization, team) if may_still_see else path_join("orgs", organization.login, "teams"))


@page.get(f"{TEAM}/teams", **_READ)
async def child_teams(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[str]:
    """Show the teams right below a team."""
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug)
    asked = PageRequest(read_page(context).page, PER_PAGE)
    found = await list_teams(session, actor, organization.id, parent_id=team.id, page=asked.page, per_page=PER_PAGE)
    return render(
        context,
        "identity/team_teams.html",
        **await team_frame(session, actor, organization, team, "teams"),
        **paging(asked, len(found.items), found.total),
        found=found,
    )


@page.get(f"{TEAM}/settings", **_EDIT)
async def team_settings(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[str]:
    """Show what maintainers of a team and owners of the organization can change."""
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug, Action.TEAM_EDIT)
    return await _settings(context, session, actor, organization, team)


async def _settings(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    team: TeamView,
    *,
    form: Form[TeamForm] | None = None,
    deletion: Form[DeleteTeamForm] | None = None,
) -> Response[str]:
    parent = "" if team.parent_id is None else str(team.parent_id)
    known = {"name": team.name, "description": team.description, "privacy": team.privacy.value, "parent": parent}
    return render(
        context,
        "identity/team_settings.html",
        status=200 if form is None and deletion is None else 422,
        **await team_frame(session, actor, organization, team, "settings"),
        form=form or blank_form(TeamForm, **known),
        deletion=deletion or blank_form(DeleteTeamForm),
        parents=_parent_options(await list_possible_parents(session, actor, organization.id, team)),
    )


@page.post(f"{TEAM}/settings", **_EDIT)
async def save_team(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[Any]:
    """Keep name, description and who sees the team, and move it below another one."""
    form = await read_form(request, TeamForm)
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug, Action.TEAM_EDIT)
    try:
        wanted = form.require()
        parent_id = _parent_id(wanted)
        change = TeamChange(name=wanted.name, description=wanted.description, privacy=wanted.privacy)
        if parent_id is None:
            # A team that becomes secret leaves the tree first.
            await move_team(session, actor, team.id, None)
        changed = await update_team(session, actor, team.id, change)
        if parent_id is not None:
            changed = await move_team(session, actor, team.id, parent_id)
    except Invalid as error:
        await session.rollback()  # one half of the change does not stay without the other
        return await _settings(context, session, actor, organization, team, form=_at_parent(form, error))
    context.flash("The settings are saved.")
    return redirect(team_path(organization, changed, "settings"))


@page.post(f"{TEAM}/settings/delete", **_EDIT)
async def remove_team(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[Any]:
    """Delete the team and the teams below it if its address was typed."""
    form = await read_form(request, DeleteTeamForm)
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug, Action.TEAM_EDIT)
    if form.require().slug.strip().lower() != team.slug:
        problem = FieldProblem("slug", "invalid", f"Type {team.slug} to delete it.")
        wrong = form.reject(Invalid(problem.message, problem))
        return await _settings(context, session, actor, organization, team, deletion=wrong)
    await delete_team(session, actor, team.id)
    context.flash(f"The team {team.name} is deleted.")
    return redirect(path_join("orgs", organization.login, "teams"))


async def team_frame(
    session: AsyncSession, actor: Actor, organization: OrganizationView, team: TeamView, section: str
) -> dict[str, Any]:
    """Return what every page of a team shows around its own part."""
    scope = await load_team(session, actor, team.id)
    may_edit = scope is not None and decide(actor, Action.TEAM_EDIT, scope).allowed
    path = team_path(organization, team)
    tabs: list[tuple[str, str, str, int | None, bool]] = [
        ("Members", path, "people", team.members, section == "members"),
        ("Repositories", f"{path}/repositories", "repo", team.repositories, section == "repositories"),
    ]
    if team.privacy is not TeamPrivacy.SECRET:
        children = await count_children(session, team)
        tabs.append(("Teams", f"{path}/teams", "organization", children, section == "teams"))
    if may_edit:
        tabs.append(("Settings", f"{path}/settings", "gear", None, section == "settings"))
    above = [(name, team_path(organization, slug)) for slug, name in await teams_above(session, team)]
    frame = await frame_of(session, actor, organization, "teams")
    return frame | {
        "team": team,
        "team_path": path,
        "team_tabs": tabs,
        "team_places": [("Teams", f"{frame['base']}/teams"), *above, (team.name, path)],
        "may_edit_team": may_edit,
    }


def team_path(organization: OrganizationView, team: TeamView | str, *parts: str) -> str:
    """Return the address of a team's page, or of one below it."""
    slug = team if isinstance(team, str) else team.slug
    return path_join("orgs", organization.login, "teams", slug, *parts)


def paging(asked: PageRequest, shown: int, total: int) -> dict[str, Any]:
    """Return what a list's page says of where in it the reader is."""
    return {"number": asked.page, "has_more": asked.offset + shown < total}


def read_text(context: RequestContext) -> str:
    """Return what a list is searched for, cut to its bound; nothing if it cannot be shown."""
    text = context.request.query_params.get("q", "").strip()[:TEXT_LENGTH_MAX]
    return text if text.isprintable() else ""


def _parent_options(choices: list[TeamChoice]) -> list[tuple[str, str]]:
    return [("", "No team: at the top"), *((str(one.id), "\u2003" * one.depth + one.name) for one in choices)]


def _parent_id(wanted: TeamForm) -> int | None:
    if not wanted.parent:
        return None
    if not (wanted.parent.isascii() and wanted.parent.isdigit() and len(wanted.parent) < 19):
        message = "Choose one of the options."
        raise Invalid(message, FieldProblem("parent", "invalid", message))
    return int(wanted.parent)


def _at_parent(form: Form[TeamForm], error: Invalid) -> Form[TeamForm]:
    """Show what the domain says of ``parent_team_id`` at the field of this form."""
    problems = [
        FieldProblem("parent", one.code, one.message) if one.field == "parent_team_id" else one
        for one in error.problems
    ]
    return form.reject(Invalid(error.message, *problems))


route_handlers: list[HTTPRouteHandler] = [
    teams,
    new_team,
    add_team,
    team_people,
    put_team_person,
    remove_team_person,
    child_teams,
    team_settings,
    save_team,
    remove_team,
]
