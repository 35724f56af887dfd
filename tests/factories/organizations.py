"""Organizations and teams for tests, as rows: quick, without the rules that founding one applies."""

import itertools

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import LONG_AGO

from cairn.access.models import (
    Organization,
    OrganizationMember,
    Team,
    TeamAncestor,
    TeamGrant,
    TeamMember,
)
from cairn.access.roles import BasePermission, OrganizationRole, Role, TeamPrivacy, TeamRole
from cairn.identity.models import Account, AccountKind
from cairn.repositories.models import Repository

_numbers = itertools.count(1)


async def make_organization(
    session: AsyncSession,
    login: str | None = None,
    *,
    owner: Account | None = None,
    base_permission: BasePermission = BasePermission.NONE,
    members_can_create_repositories: bool = True,
    members_can_create_teams: bool = True,
) -> Account:
    """Return the account of a new organization, with an owner if one is given."""
    login = login or f"organization{next(_numbers)}"
    account = Account(
        login=login, login_key=login.lower(), kind=AccountKind.ORGANIZATION, created_at=LONG_AGO, updated_at=LONG_AGO
    )
    session.add(account)
    await session.flush()
    session.add(
        Organization(
            account_id=account.id,
            base_permission=base_permission,
            members_can_create_repositories=members_can_create_repositories,
            members_can_create_teams=members_can_create_teams,
        )
    )
    await session.flush()
    if owner is not None:
        await join_organization(session, account, owner, OrganizationRole.OWNER)
    return account


async def join_organization(
    session: AsyncSession,
    organization: Account,
    account: Account,
    role: OrganizationRole = OrganizationRole.MEMBER,
    *,
    is_public: bool = False,
) -> None:
    """Make ``account`` a member."""
    session.add(
        OrganizationMember(
            organization_id=organization.id,
            account_id=account.id,
            role=role,
            is_public=is_public,
            joined_at=LONG_AGO,
        )
    )
    await session.flush()


async def make_team(
    session: AsyncSession,
    organization: Account,
    slug: str | None = None,
    *,
    parent: Team | None = None,
    privacy: TeamPrivacy = TeamPrivacy.CLOSED,
) -> Team:
    """Return a new team."""
    slug = slug or f"team{next(_numbers)}"
    team = Team(
        organization_id=organization.id,
        slug=slug,
        name=slug,
        privacy=privacy,
        parent_id=None if parent is None else parent.id,
        created_at=LONG_AGO,
        updated_at=LONG_AGO,
    )
    session.add(team)
    await session.flush()
    above: list[int] = []
    if parent is not None:
        above = list(await session.scalars(select(TeamAncestor.ancestor_id).where(TeamAncestor.team_id == parent.id)))
    session.add_all([TeamAncestor(team_id=team.id, ancestor_id=one) for one in (team.id, *above)])
    await session.flush()
    return team


async def join_team(session: AsyncSession, team: Team, account: Account, role: TeamRole = TeamRole.MEMBER) -> None:
    """Put ``account`` into a team."""
    session.add(TeamMember(team_id=team.id, account_id=account.id, role=role, joined_at=LONG_AGO))
    await session.flush()


async def grant_team(session: AsyncSession, repository: Repository, team: Team, role: Role) -> None:
    """Give a team a role on a repository."""
    session.add(TeamGrant(repository_id=repository.id, team_id=team.id, role=role, granted_at=LONG_AGO))
    await session.flush()
