"""The page of a team's repositories: which it has a role on, and by whom. It stands in the frame of ``identity``."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import Role
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Forbidden, Invalid, NotFound
from cairn.identity.organizations import OrganizationView, find_organization
from cairn.identity.team_pages import TEAM, paging, team_frame, team_path
from cairn.identity.teams import TeamView, find_team
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.team_grants import list_team_repositories, put_team_grant, remove_team_grant
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page

PER_PAGE = 50
ROLES = [(role.value, role.value.capitalize()) for role in Role]
_READ: Any = {"action": Action.TEAM_READ, "resource": "account"}


class TeamRepositoryForm(msgspec.Struct):
    """A repository of the organization, with or without its owner's name, and the role the team gets."""

    repository: Annotated[str, Meta(min_length=1)]
    role: Role = Role.READ


class RepositoryNameForm(msgspec.Struct):
    """The repository a button stands beside."""

    repository: Annotated[str, Meta(min_length=1)]


@page.get(f"{TEAM}/repositories", **_READ)
async def team_repositories(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[str]:
    """Show the repositories on which a team has a role and that the reader may see."""
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug)
    return await _show(context, session, actor, organization, team, blank_form(TeamRepositoryForm))


async def _show(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    team: TeamView,
    form: Form[TeamRepositoryForm],
) -> Response[str]:
    asked = PageRequest(read_page(context).page, PER_PAGE)
    found = await list_team_repositories(session, actor, team.id, page=asked.page, per_page=PER_PAGE)
    return render(
        context,
        "repositories/team_repositories.html",
        status=422 if form.has_problems else 200,
        **await team_frame(session, actor, organization, team, "repositories"),
        **paging(asked, len(found.items), found.total),
        found=found,
        form=form,
        roles=ROLES,
    )


@page.post(f"{TEAM}/repositories", **_READ)
async def put_team_repository(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[Any]:
    """Give the team a role on a repository that the actor administers, or another one than it had."""
    form = await read_form(request, TeamRepositoryForm)
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug)
    try:
        wanted = form.require()
        repository = await _find(session, actor, organization, wanted.repository)
        await put_team_grant(session, actor, repository.id, team_id=team.id, role=wanted.role)
    except Invalid as error:
        return await _show(context, session, actor, organization, team, form.reject(error))
    context.flash(f"{team.name} has the {wanted.role.value} role on {repository.full_name} now.")
    return redirect(team_path(organization, team, "repositories"))


@page.post(f"{TEAM}/repositories/remove", **_READ)
async def remove_team_repository(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Response[Any]:
    """Take the team's own role on a repository away."""
    wanted = (await read_form(request, RepositoryNameForm)).require()
    organization = await find_organization(session, actor, org)
    team = await find_team(session, actor, organization.id, slug)
    repository = await _find(session, actor, organization, wanted.repository, Action.REPOSITORY_SEE)
    await remove_team_grant(session, actor, repository.id, team_id=team.id)
    context.flash(f"{team.name} has no role of its own on {repository.full_name} any more.")
    return redirect(team_path(organization, team, "repositories"))


async def _find(
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    text: str,
    action: Action = Action.REPOSITORY_ADMINISTER,
) -> RepositoryView:
    """Return the repository somebody named, if they may do ``action`` to it; Invalid stands at the field."""
    owner, _, name = text.strip().rpartition("/")
    try:
        return await find_repository(session, actor, owner or organization.login, name, action)
    except NotFound:
        message = f"There is no repository {text.strip()[:100]!r} in {organization.login}."
    except Forbidden:
        message = f"Only administrators of {text.strip()[:100]} say which team has a role on it."
    raise Invalid(message, FieldProblem("repository", "invalid", message, "TeamGrant"))


route_handlers: list[HTTPRouteHandler] = [team_repositories, put_team_repository, remove_team_repository]
