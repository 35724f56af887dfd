"""Teams and who is in them over REST, in GitHub's shape. Their repositories are ``repositories``' business."""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import TeamPrivacy, TeamRole
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.base.ids import RowId
from cairn.base.settings import Settings
from cairn.identity.api import require_account
from cairn.identity.organization_schemas import (
    API,
    PRIVACIES,
    TEAM_ROLES,
    Json,
    full_team_json,
    person_json,
    team_json,
    unknown_word,
)
from cairn.identity.organizations import OrganizationView, find_organization, read_organization
from cairn.identity.team_members import (
    list_team_members,
    put_team_member,
    remove_team_member,
)
from cairn.identity.teams import (
    TeamChange,
    TeamView,
    create_team,
    delete_team,
    find_team,
    list_own_teams,
    list_teams,
    move_team,
    read_team,
    update_team,
)
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

TEAMS = f"{API}/orgs/{{org:str}}/teams"
TEAM = f"{TEAMS}/{{slug:str}}"
BY_NUMBER = f"{API}/organizations/{{organization_id:int}}/team/{{team_id:int}}"
_READ: Any = {"action": Action.TEAM_READ, "resource": "account"}
_EDIT: Any = {"action": Action.TEAM_EDIT, "resource": "account"}


class NewTeam(msgspec.Struct, kw_only=True):
    """The body of making a team; ``maintainers`` are members' names."""

    name: str
    description: str | None = None
    privacy: str | None = None
    parent_team_id: RowId | None = None
    maintainers: list[str] = []


class TeamBody(msgspec.Struct, kw_only=True):
    """The body of changing a team; a ``parent_team_id`` of null puts it at the top."""

    name: str | None = None
    description: str | None = None
    privacy: str | None = None
    parent_team_id: RowId | UnsetType | None = UNSET


async def team_named(session: AsyncSession, actor: Actor, org: str, slug: str) -> tuple[OrganizationView, TeamView]:
    """Return an organization and its team of an address, if the actor may see it. Errors: NotFound."""
    organization = await find_organization(session, actor, org)
    return organization, await find_team(session, actor, organization.id, slug)


@api.get(TEAMS, action=Action.ORGANIZATION_READ_PRIVATE, resource="account")
async def list_(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer the teams of an organization that the caller may see."""
    return await _list(context, session, actor, await find_organization(session, actor, org))


@api.post(TEAMS, action=Action.TEAM_CREATE, resource="account")
async def create(session: AsyncSession, settings: Settings, actor: Actor, org: str, body: NewTeam) -> Json:
    """Make a team, with its maintainers."""
    organization = await find_organization(session, actor, org)
    usual = TeamPrivacy.SECRET if body.parent_team_id is None else TeamPrivacy.CLOSED
    made = await create_team(
        session,
        actor,
        organization.id,
        name=body.name,
        description=body.description or "",
        privacy=_privacy(body.privacy) or usual,
        parent_id=body.parent_team_id,
    )
    for login in body.maintainers:
        await put_team_member(session, actor, made.id, login=login, role=TeamRole.MAINTAINER)
    return await _answer(session, settings, actor, organization, await read_team(session, actor, made.id))


@api.get(TEAM, **_READ)
async def get(session: AsyncSession, settings: Settings, actor: Actor, org: str, slug: str) -> Json:
    """Answer a team."""
    organization, team = await team_named(session, actor, org, slug)
    return await _answer(session, settings, actor, organization, team)


@api.get(BY_NUMBER, **_READ)
async def get_by_number(
    session: AsyncSession, settings: Settings, actor: Actor, organization_id: int, team_id: int
) -> Json:
    """Answer a team by the numbers, which never change."""
    team = await read_team(session, actor, team_id)
    if team.organization_id != organization_id:
        raise NotFound("Not Found")
    organization = await read_organization(session, actor, organization_id)
    return await _answer(session, settings, actor, organization, team)


@api.patch(TEAM, **_EDIT)
async def edit(session: AsyncSession, settings: Settings, actor: Actor, org: str, slug: str, body: TeamBody) -> Json:
    """Change a team, move it if a parent is sent, and answer it as it is then."""
    organization, team = await team_named(session, actor, org, slug)
    change = TeamChange(name=body.name, description=body.description, privacy=_privacy(body.privacy))
    changed = await update_team(session, actor, team.id, change)
    if body.parent_team_id is not UNSET:
        changed = await move_team(session, actor, team.id, body.parent_team_id)
    return await _answer(session, settings, actor, organization, changed)


@api.delete(TEAM, **_EDIT)
async def delete(session: AsyncSession, actor: Actor, org: str, slug: str) -> None:
    """Delete a team with the teams below it."""
    _, team = await team_named(session, actor, org, slug)
    await delete_team(session, actor, team.id)


@api.get(f"{TEAM}/teams", **_READ)
async def children(context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str) -> Page[Json]:
    """Answer the teams right below a team."""
    organization, team = await team_named(session, actor, org, slug)
    return await _list(context, session, actor, organization, parent=team)


@api.get(f"{TEAM}/members", **_READ)
async def members(context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str) -> Page[Json]:
    """Answer who is in a team or below it; ``role`` keeps ``maintainer`` or ``member``."""
    word = context.request.query_params.get("role", "all")
    if word != "all" and word not in TEAM_ROLES:
        raise unknown_word("role", ["all", *TEAM_ROLES])
    _, team = await team_named(session, actor, org, slug)
    asked = read_page(context)
    found = await list_team_members(
        session, actor, team.id, role=TEAM_ROLES.get(word), page=asked.page, per_page=asked.per_page
    )
    items = [person_json(context.settings.origin, one.account_id, one.login) for one in found.items]
    return Page(items, asked, total=found.total)


@api.delete(f"{TEAM}/memberships/{{username:str}}", **_READ)
async def remove_place(session: AsyncSession, actor: Actor, org: str, slug: str, username: str) -> None:
    """Take somebody out of a team; people may leave by themselves."""
    _, team = await team_named(session, actor, org, slug)
    await remove_team_member(session, actor, team.id, login=username)


@api.get(f"{API}/user/teams", action=Action.ACCOUNT_READ, resource="none")
async def list_own(context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor) -> Page[Json]:
    """Answer the teams the caller is in."""
    require_account(actor)
    asked, found = read_page(context), await list_own_teams(session, actor)
    items = []
    for team in found[asked.offset : asked.offset + asked.per_page]:
        organization = await read_organization(session, actor, team.organization_id)
        items.append(await _answer(session, settings, actor, organization, team))
    return Page(items, asked, total=len(found))


async def _list(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    *,
    parent: TeamView | None = None,
) -> Page[Json]:
    asked = read_page(context)
    found = await list_teams(
        session,
        actor,
        organization.id,
        parent_id=None if parent is None else parent.id,
        page=asked.page,
        per_page=asked.per_page,
    )
    known: dict[int | None, TeamView | None] = {None: None} | {team.id: team for team in found.items}
    items = []
    for team in found.items:
        if team.parent_id not in known:
            known[team.parent_id] = await _parent(session, actor, team)
        items.append(team_json(context.settings.origin, organization.login, team, known[team.parent_id]))
    return Page(items, asked, total=found.total)


async def _answer(
    session: AsyncSession, settings: Settings, actor: Actor, organization: OrganizationView, team: TeamView
) -> Json:
    return full_team_json(settings.origin, organization, team, await _parent(session, actor, team))


async def _parent(session: AsyncSession, actor: Actor, team: TeamView) -> TeamView | None:
    """Return the team above; a child's parent is never secret, so who sees the one sees the other."""
    return None if team.parent_id is None else await read_team(session, actor, team.parent_id)


def _privacy(word: str | None) -> TeamPrivacy | None:
    if word is not None and word not in PRIVACIES:
        raise unknown_word("privacy", list(PRIVACIES))
    return None if word is None else PRIVACIES[word]


route_handlers: list[HTTPRouteHandler] = [
    list_,
    create,
    get,
    get_by_number,
    edit,
    delete,
    children,
    members,
    remove_place,
    list_own,
]
