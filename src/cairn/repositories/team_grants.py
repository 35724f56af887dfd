"""Which team has which role on a repository. Only teams of the organization that owns it can have one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize, authorize_team, load_team
from cairn.access.decide import decide
from cairn.access.models import Team, TeamAncestor, TeamGrant
from cairn.access.roles import RANKS, Role, Visibility
from cairn.access.scopes import RepositoryScope
from cairn.access.visible import visible, visible_teams
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.models import Account
from cairn.repositories.events import TeamGrantChanged
from cairn.repositories.models import ACCESS_COLUMNS, Repository
from cairn.repositories.queries import load_scope, lock_repository

TEAMS_MAX = 1000
"""Teams with a role on one repository."""
PER_PAGE_MAX = 100


class TeamGrantInvalid(Invalid):
    """This team cannot have a role here: it is of another organization, or there are too many."""


@dataclass(frozen=True, slots=True)
class GrantedTeam:
    """A team with a role on a repository."""

    team_id: int
    slug: str
    name: str
    role: Role
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class TeamRepository:
    """A repository on which a team has a role, its own or a team's above it, whichever is stronger.

    ``own_role`` is what the team itself was given; ``is_administered`` tells whether the reader may change that.
    """

    repository_id: int
    owner: str
    name: str
    description: str
    visibility: Visibility
    role: Role
    own_role: Role | None
    is_administered: bool


@dataclass(frozen=True, slots=True)
class TeamRepositoryPage:
    """Some repositories of a list, and how many the whole list has."""

    items: list[TeamRepository]
    total: int


async def put_team_grant(
    session: AsyncSession, actor: Actor, repository_id: int, *, team_id: int, role: Role
) -> GrantedTeam:
    """Give a team the actor sees a role on a repository, instead of the one it had, and return it.

    It counts for the members of the teams below, too. Errors: NotFound, Forbidden; TeamGrantInvalid.
    """
    repository, _ = await lock_repository(session, repository_id)
    await _authorize(session, actor, Action.REPOSITORY_ADMINISTER, repository_id)
    await authorize_team(session, actor, Action.TEAM_READ, team_id)
    team = await session.get_one(Team, team_id)
    if team.organization_id != repository.owner_id:
        raise _invalid("Only teams of the organization that owns the repository can have a role on it.")
    grant = await session.get(TeamGrant, (repository_id, team_id), populate_existing=True)
    old_role = None if grant is None else grant.role
    moment = await database_now(session)
    if grant is None:
        counted = select(func.count()).select_from(TeamGrant).where(TeamGrant.repository_id == repository_id)
        if (await session.scalar(counted) or 0) >= TEAMS_MAX:
            raise _invalid(f"A repository has at most {TEAMS_MAX:,} teams; remove one first.")
        grant = TeamGrant(repository_id=repository_id, team_id=team_id)
        session.add(grant)
    if old_role is not role:
        grant.role, grant.granted_at, grant.granted_by_id = role, moment, actor.account_id
        await session.flush()
        _changed(session, actor, repository_id, team, old_role=old_role, new_role=role)
    return GrantedTeam(team.id, team.slug, team.name, role, grant.granted_at)


async def remove_team_grant(session: AsyncSession, actor: Actor, repository_id: int, *, team_id: int) -> None:
    """Take a team's role on a repository away: for its administrators, and as on GitHub for the team's maintainers.

    Errors: NotFound (also if it has none), Forbidden.
    """
    await lock_repository(session, repository_id)
    team_scope = await load_team(session, actor, team_id)
    maintains = team_scope is not None and decide(actor, Action.TEAM_EDIT, team_scope).allowed
    needed = Action.REPOSITORY_SEE if maintains else Action.REPOSITORY_ADMINISTER
    await _authorize(session, actor, needed, repository_id)
    await authorize_team(session, actor, Action.TEAM_READ, team_id)
    grant = await session.get(TeamGrant, (repository_id, team_id), populate_existing=True)
    if grant is None:
        raise NotFound("This team has no role here.")
    old_role, team = grant.role, await session.get_one(Team, team_id)
    await session.delete(grant)
    await session.flush()
    _changed(session, actor, repository_id, team, old_role=old_role, new_role=None)


async def list_granted_teams(session: AsyncSession, actor: Actor, repository_id: int) -> list[GrantedTeam]:
    """Return the teams with a role on a repository by address, those the actor may see. Errors: NotFound, Forbidden."""
    await _authorize(session, actor, Action.REPOSITORY_ADMINISTER, repository_id)
    owner_id = (await session.get_one(Repository, repository_id)).owner_id
    # Primary keys of team_grant and team.
    rows = await session.execute(
        select(TeamGrant, Team)
        .join(Team, Team.id == TeamGrant.team_id)
        .where(TeamGrant.repository_id == repository_id, visible_teams(actor, owner_id))
        .order_by(Team.slug)
        .limit(TEAMS_MAX)
    )
    return [GrantedTeam(team.id, team.slug, team.name, grant.role, grant.granted_at) for grant, team in rows]


async def list_grantable_teams(session: AsyncSession, actor: Actor, repository_id: int) -> list[tuple[str, str]]:
    """Return address and name of the teams the actor sees that have no role on a repository yet, by address.

    Errors: NotFound, Forbidden.
    """
    scope = await _authorize(session, actor, Action.REPOSITORY_ADMINISTER, repository_id)
    granted = select(TeamGrant.team_id).where(TeamGrant.repository_id == repository_id)
    rows = await session.execute(
        # uq_team_organization_id_slug, primary key of team_grant.
        select(Team.slug, Team.name)
        .where(visible_teams(actor, scope.owner_id), Team.id.not_in(granted))
        .order_by(Team.slug)
    )
    return [(slug, name) for slug, name in rows]


async def list_team_repositories(
    session: AsyncSession, actor: Actor, team_id: int, *, page: int = 1, per_page: int = 30
) -> TeamRepositoryPage:
    """Return one page of the repositories on which a team has a role and that the actor may see, by name.

    Errors: NotFound for a team the actor may not see.
    """
    await authorize_team(session, actor, Action.TEAM_READ, team_id)
    # Primary key of team_ancestor, ix_team_grant_team_id_repository_id, primary key of repository.
    granted = (
        select(Repository.id, Repository.name_key)
        .select_from(TeamAncestor)
        .join(TeamGrant, TeamGrant.team_id == TeamAncestor.ancestor_id)
        .join(Repository, Repository.id == TeamGrant.repository_id)
        .where(TeamAncestor.team_id == team_id, visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS))
    )
    distinct = granted.with_only_columns(Repository.id).distinct().subquery()
    total = await session.scalar(select(func.count()).select_from(distinct)) or 0
    limit = max(1, min(per_page, PER_PAGE_MAX))
    chosen = granted.distinct().order_by(Repository.name_key).limit(limit).offset((max(page, 1) - 1) * limit)
    ids = [row[0] for row in await session.execute(chosen)]
    return TeamRepositoryPage(await _team_repositories(session, actor, team_id, ids), total)


async def _team_repositories(
    session: AsyncSession, actor: Actor, team_id: int, ids: Sequence[int]
) -> list[TeamRepository]:
    """Return repositories with what a team may do there; three statements, however many they are."""
    administered = visible(actor, Action.REPOSITORY_ADMINISTER, ACCESS_COLUMNS)
    own = set(await session.scalars(select(Repository.id).where(Repository.id.in_(ids), administered)))
    rows = await session.execute(
        # Primary keys of team_ancestor, team_grant, repository and account.
        select(Repository, Account.login, TeamGrant.role, TeamGrant.team_id)
        .select_from(TeamAncestor)
        .join(TeamGrant, TeamGrant.team_id == TeamAncestor.ancestor_id)
        .join(Repository, Repository.id == TeamGrant.repository_id)
        .join(Account, Account.id == Repository.owner_id)
        .where(TeamAncestor.team_id == team_id, TeamGrant.repository_id.in_(ids))
        .order_by(Repository.name_key)
    )
    found: dict[int, TeamRepository] = {}
    for repository, owner, role, granted_to in rows:
        known = found.get(repository.id) or TeamRepository(
            repository.id,
            owner,
            repository.name,
            repository.description,
            repository.visibility,
            role,
            None,
            repository.id in own,
        )
        found[repository.id] = replace(
            known,
            role=max(known.role, role, key=RANKS.__getitem__),
            own_role=role if granted_to == team_id else known.own_role,
        )
    return list(found.values())


async def _authorize(session: AsyncSession, actor: Actor, action: Action, repository_id: int) -> RepositoryScope:
    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    return await authorize(session, actor, action, load)


def _changed(
    session: AsyncSession,
    actor: Actor,
    repository_id: int,
    team: Team,
    *,
    old_role: Role | None,
    new_role: Role | None,
) -> None:
    old, new = ("" if role is None else role.value for role in (old_role, new_role))
    emit(
        session,
        TeamGrantChanged(
            repository_id=repository_id, team_id=team.id, old_role=old, new_role=new, actor_id=actor.account_id
        ),
    )
    changes = {"role": (old, new)}
    record(session, actor, "repository.team", team.slug, repository_id=repository_id, changes=changes)


def _invalid(message: str) -> TeamGrantInvalid:
    return TeamGrantInvalid(message, FieldProblem("team", "invalid", message, "TeamGrant"))
