"""Repositories of organizations over REST: their list, new ones, and the roles of teams."""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import Role, Visibility
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.identity.organization_schemas import team_mention, unknown_word
from cairn.identity.organizations import find_organization
from cairn.identity.teams import find_team, read_team
from cairn.repositories.api_routes import REPOSITORY, choose, follows_renames
from cairn.repositories.fork_api import whole_repository
from cairn.repositories.lists import RepositoryFilter, RepositorySort, list_repositories
from cairn.repositories.queries import find_repository, find_repository_by_id
from cairn.repositories.serializers import API, GITHUB_PERMISSIONS, Json, role_permissions_json
from cairn.repositories.team_grants import (
    list_granted_teams,
    list_team_repositories,
    put_team_grant,
    remove_team_grant,
)
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

ORG = f"{API}/orgs/{{org:str}}"
TEAM_REPOS = f"{ORG}/teams/{{slug:str}}/repos"
ROLES = {word: role for role, word in GITHUB_PERMISSIONS.items()} | {role.value: role for role in Role}
"""The words of roles: GitHub's for permissions, and our own."""
_SORTS = {sort.value: sort for sort in RepositorySort}
_PRIVATE = frozenset({Visibility.PRIVATE, Visibility.INTERNAL})
_TYPES = {"all": None, "public": frozenset({Visibility.PUBLIC}), "private": _PRIVATE}


class TeamPermission(msgspec.Struct, kw_only=True):
    """The body of giving a team a role."""

    permission: str = "push"


@api.get(f"{ORG}/repos", action=Action.ORGANIZATION_READ, resource="account")
async def list_of_organization(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer those of an organization's repositories that the caller may see."""
    visibilities: Any = choose(context, "type", _TYPES, "all")
    sort: RepositorySort = choose(context, "sort", _SORTS, RepositorySort.CREATED.value)
    usual = "asc" if sort is RepositorySort.FULL_NAME else "desc"
    descending: bool = choose(context, "direction", {"asc": False, "desc": True}, usual)
    organization, asked = await find_organization(session, actor, org), read_page(context)
    found = await list_repositories(
        session,
        actor,
        RepositoryFilter(owner_id=organization.id, visibilities=visibilities),
        sort=sort,
        descending=descending,
        page=asked.page,
        per_page=asked.per_page,
    )
    items = [await whole_repository(context, session, one) for one in found.items]
    return Page(items, asked, total=found.total)


@api.get(f"{REPOSITORY}/teams", action=Action.REPOSITORY_ADMINISTER, resource="repository")
@follows_renames
async def teams_of_repository(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Page[Json]:
    """Answer the teams with a role on a repository, those the caller may see."""
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    asked, found = read_page(context), await list_granted_teams(session, actor, repository.id)
    items = []
    for grant in found[asked.offset : asked.offset + asked.per_page]:
        team = await read_team(session, actor, grant.team_id)
        mention = team_mention(context.settings.origin, repository.owner, team)
        rights = {"permission": GITHUB_PERMISSIONS[grant.role], "permissions": role_permissions_json(grant.role)}
        items.append(mention | rights | {"parent": None})
    return Page(items, asked, total=len(found))


@api.get(TEAM_REPOS, action=Action.TEAM_READ, resource="account")
async def repositories_of_team(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str
) -> Page[Json]:
    """Answer the repositories on which a team has a role and that the caller may see."""
    team_id, asked = await _team(session, actor, org, slug), read_page(context)
    found = await list_team_repositories(session, actor, team_id, page=asked.page, per_page=asked.per_page)
    items = []
    for one in found.items:
        repository = await find_repository_by_id(session, actor, one.repository_id, Action.REPOSITORY_SEE)
        items.append(await whole_repository(context, session, repository) | _rights(one.role))
    return Page(items, asked, total=found.total)


_ONE = f"{TEAM_REPOS}/{{owner:str}}/{{repo:str}}"


@api.get(_ONE, action=Action.REPOSITORY_SEE, resource="repository")
async def check_team(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str, owner: str, repo: str
) -> Json | None:
    """Answer 204 if a team has a role on a repository, the repository itself to who asks for it, 404 otherwise."""
    team_id = await _team(session, actor, org, slug)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_SEE)
    page = 1
    while True:
        found = await list_team_repositories(session, actor, team_id, page=page, per_page=100)
        for one in found.items:
            if one.repository_id == repository.id:
                if "repository+json" not in context.request.headers.get("accept", ""):
                    return None
                return await whole_repository(context, session, repository) | _rights(one.role)
        if page * 100 >= found.total:
            raise NotFound("Not Found")
        page += 1


@api.put(_ONE, action=Action.REPOSITORY_ADMINISTER, resource="repository", status=204)
async def put_team(
    session: AsyncSession, actor: Actor, org: str, slug: str, owner: str, repo: str, body: TeamPermission
) -> None:
    """Give a team a role on a repository."""
    role = ROLES.get(body.permission)
    if role is None:
        raise unknown_word("permission", list(ROLES))
    team_id = await _team(session, actor, org, slug)
    repository = await find_repository(session, actor, owner, repo)
    await put_team_grant(session, actor, repository.id, team_id=team_id, role=role)


@api.delete(_ONE, action=Action.REPOSITORY_SEE, resource="repository")
async def remove_team(session: AsyncSession, actor: Actor, org: str, slug: str, owner: str, repo: str) -> None:
    """Take a team's role on a repository away; who administers the repository may, or maintains the team."""
    team_id = await _team(session, actor, org, slug)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_SEE)
    await remove_team_grant(session, actor, repository.id, team_id=team_id)


async def _team(session: AsyncSession, actor: Actor, org: str, slug: str) -> int:
    organization = await find_organization(session, actor, org)
    return (await find_team(session, actor, organization.id, slug)).id


def _rights(role: Role) -> Json:
    return {"permissions": role_permissions_json(role), "role_name": role.value}


route_handlers: list[HTTPRouteHandler] = [
    list_of_organization,
    teams_of_repository,
    repositories_of_team,
    check_team,
    put_team,
    remove_team,
]
