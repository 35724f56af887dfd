"""The page of who may what on a repository: people and teams with their roles, and where each role comes from."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import Role
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.identity.team_pages import paging, read_text
from cairn.identity.teams import find_team
from cairn.repositories.access_list import base_permission_of, list_access
from cairn.repositories.collaborators import put_collaborator, remove_collaborator
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.team_grants import (
    list_grantable_teams,
    list_granted_teams,
    put_team_grant,
    remove_team_grant,
)
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

PER_PAGE = 50
ROLES = [(role.value, role.value.capitalize()) for role in Role]
_PATH = "/{owner:str}/{repo:str}/settings/access"
_ADMINISTER: Any = {"action": Action.REPOSITORY_ADMINISTER, "resource": "repository"}
Filled = Annotated[str, Meta(min_length=1)]


class PersonRoleForm(msgspec.Struct):
    """Somebody and the role they get."""

    username: Filled
    role: Role = Role.WRITE


class LeaverForm(msgspec.Struct):
    """Somebody whose role ends."""

    username: Filled


class TeamRoleForm(msgspec.Struct):
    """A team, by its address, and the role it gets."""

    team: Filled
    role: Role = Role.READ


class LeavingTeamForm(msgspec.Struct):
    """A team whose role ends."""

    team: Filled


@page.get(_PATH, **_ADMINISTER)
async def access(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show who has which role on the repository and by what, and the forms that let people and teams in."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    return await _show(context, session, actor, repository)


async def _show(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    repository: RepositoryView,
    *,
    person: Form[PersonRoleForm] | None = None,
    team: Form[TeamRoleForm] | None = None,
) -> Response[Any]:
    asked, text = PageRequest(read_page(context).page, PER_PAGE), read_text(context)
    found = await list_access(session, actor, repository.id, text=text, page=asked.page, per_page=PER_PAGE)
    base_permission = await base_permission_of(session, repository.id)
    return render(
        context,
        "repositories/access.html",
        status=200 if person is None and team is None else 422,
        **header_of(context, actor, repository, "settings"),
        **paging(asked, len(found.items), found.total),
        form=person or blank_form(PersonRoleForm),
        team_form=team or blank_form(TeamRoleForm),
        found=found,
        text=text,
        base_permission=base_permission,
        granted=await list_granted_teams(session, actor, repository.id) if repository.is_organizations else [],
        grantable=await list_grantable_teams(session, actor, repository.id) if repository.is_organizations else [],
        roles=ROLES,
    )


@page.post(f"{_PATH}/people", **_ADMINISTER)
async def put_person(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Let somebody in, or give them another role."""
    form = await read_form(request, PersonRoleForm)
    repository = await find_repository(session, actor, owner, repo)
    try:
        wanted = form.require()
        login = wanted.username.strip().removeprefix("@")
        person = await put_collaborator(session, actor, repository.id, login=login, role=wanted.role)
    except Invalid as error:
        return await _show(context, session, actor, repository, person=form.reject(error))
    context.flash(f"{person.login} has the {person.role.value} role now.")
    return redirect(_address(repository))


@page.post(f"{_PATH}/people/remove", action=Action.REPOSITORY_READ, resource="repository")
async def remove_person(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """End somebody's own role; people may end theirs."""
    form = await read_form(request, LeaverForm)
    repository = await find_repository(session, actor, owner, repo)
    login = form.require().username
    await remove_collaborator(session, actor, repository.id, login=login)
    if login.lower() == (actor.login or "").lower():
        context.flash(f"You left {repository.full_name}.")
        return redirect("/")
    context.flash(f"{login} has no role of their own here any more.")
    return redirect(_address(repository))


@page.post(f"{_PATH}/teams", **_ADMINISTER)
async def put_team(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Let a team in, or give it another role."""
    form = await read_form(request, TeamRoleForm)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    try:
        wanted = form.require()
        team = await find_team(session, actor, repository.owner_id, wanted.team.strip())
        granted = await put_team_grant(session, actor, repository.id, team_id=team.id, role=wanted.role)
    except NotFound:
        message = f"There is no team {str(form.values['team'])[:60]!r} in {repository.owner}."
        wrong = form.reject(Invalid(message, FieldProblem("team", "invalid", message, "TeamGrant")))
        return await _show(context, session, actor, repository, team=wrong)
    except Invalid as error:
        return await _show(context, session, actor, repository, team=form.reject(error))
    context.flash(f"The team {granted.name} has the {granted.role.value} role now.")
    return redirect(_address(repository))


@page.post(f"{_PATH}/teams/remove", **_ADMINISTER)
async def remove_team(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """End a team's role."""
    form = await read_form(request, LeavingTeamForm)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    team = await find_team(session, actor, repository.owner_id, form.require().team)
    await remove_team_grant(session, actor, repository.id, team_id=team.id)
    context.flash(f"The team {team.name} has no role here any more.")
    return redirect(_address(repository))


def _address(repository: RepositoryView) -> str:
    return path_join(repository.owner, repository.name, "settings", "access")


route_handlers: list[HTTPRouteHandler] = [access, put_person, remove_person, put_team, remove_team]
