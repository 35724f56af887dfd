"""Who is in a team. Only members of the organization can be; the teams below count as members of those above."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization, authorize_team
from cairn.access.models import OrganizationMember, Team, TeamAncestor, TeamMember
from cairn.access.roles import OrganizationRole, TeamRole
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import TeamMemberChanged
from cairn.identity.models import Account
from cairn.identity.queries import find_account
from cairn.identity.teams import lock_team

PER_PAGE_MAX = 100


class TeamMemberInvalid(Invalid):
    """This account cannot be in the team: nobody has the name, or it is no member of the organization."""


@dataclass(frozen=True, slots=True)
class TeamMemberView:
    """Somebody in a team; ``is_direct`` is False for who is in a child team only."""

    account_id: int
    login: str
    name: str
    role: TeamRole
    is_direct: bool
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class TeamMemberPage:
    """Some members of a list, and how many the whole list has."""

    items: list[TeamMemberView]
    total: int


async def put_team_member(
    session: AsyncSession, actor: Actor, team_id: int, *, login: str, role: TeamRole
) -> TeamMemberView:
    """Put a member of the organization into a team, or change what they are in it, and return them.

    Owners of the organization are maintainers of every team. Errors: NotFound, Forbidden; TeamMemberInvalid.
    """
    team = await lock_team(session, team_id)
    await authorize_team(session, actor, Action.TEAM_EDIT, team_id)
    account = await find_account(session, login)
    place = None if account is None else await session.get(OrganizationMember, (team.organization_id, account.id))
    if account is None or place is None:
        organization = await session.get_one(Account, team.organization_id)
        message = (
            f"There is no person {login[:60]!r}."
            if account is None
            else f"{account.login} is no member of {organization.login}; invite them first."
        )
        raise TeamMemberInvalid(message, FieldProblem("username", "invalid", message, "TeamMember"))
    if place.role is OrganizationRole.OWNER:
        role = TeamRole.MAINTAINER
    return await enter_team(session, actor, team, account, role)


async def enter_team(
    session: AsyncSession, actor: Actor, team: Team, account: Account, role: TeamRole
) -> TeamMemberView:
    """Put a member of the organization into a locked team without asking whether ``actor`` may: for invitations."""
    member = await session.get(TeamMember, (team.id, account.id), populate_existing=True)
    old_role = None if member is None else member.role
    if member is None:
        member = TeamMember(team_id=team.id, account_id=account.id, joined_at=await database_now(session))
        session.add(member)
    if old_role is not role:
        member.role = role
        await session.flush()
        _changed(session, actor, team, account, old_role=old_role, new_role=role)
    return TeamMemberView(account.id, account.login, account.name, role, is_direct=True, joined_at=member.joined_at)


async def remove_team_member(session: AsyncSession, actor: Actor, team_id: int, *, login: str) -> None:
    """Take somebody out of a team, also the actor; what they have by child teams stays.

    Errors: NotFound (also for who is not in it), Forbidden.
    """
    team = await lock_team(session, team_id)
    account = await find_account(session, login)
    if account is not None and account.id == actor.account_id:
        await authorize_team(session, actor, Action.TEAM_READ, team_id)
        await authorize_organization(session, actor, Action.ORGANIZATION_LEAVE, team.organization_id)
    else:
        await authorize_team(session, actor, Action.TEAM_EDIT, team_id)
    member = None if account is None else await session.get(TeamMember, (team_id, account.id), populate_existing=True)
    if account is None or member is None:
        raise NotFound(f"{login[:60]!r} is not in this team.")
    old_role = member.role
    await session.delete(member)
    await session.flush()
    _changed(session, actor, team, account, old_role=old_role, new_role=None)


async def list_team_members(
    session: AsyncSession,
    actor: Actor,
    team_id: int,
    *,
    role: TeamRole | None = None,
    only_direct: bool = False,
    text: str = "",
    page: int = 1,
    per_page: int = 30,
) -> TeamMemberPage:
    """Return one page of who is in a team or (as members) in one below it, by name. Errors: NotFound.

    Who is in several of them has one entry, with the place in the team itself if there is one. ``text`` is part of the
    login or name, without case.
    """
    await authorize_team(session, actor, Action.TEAM_READ, team_id)
    is_direct = TeamMember.team_id == team_id
    is_maintainer = is_direct & (TeamMember.role == TeamRole.MAINTAINER)
    places = (
        # ix_team_ancestor_ancestor_id_team_id, primary key of team_member.
        select(
            TeamMember.account_id,
            func.max(case((is_maintainer, 1), else_=0)).label("is_maintainer"),
            func.max(case((is_direct, 1), else_=0)).label("is_direct"),
            func.min(TeamMember.joined_at).label("joined_at"),
        )
        .join(TeamAncestor, TeamAncestor.team_id == TeamMember.team_id)
        .where(TeamAncestor.ancestor_id == team_id)
        .group_by(TeamMember.account_id)
        .subquery()
    )
    conditions = [places.c.is_direct == 1] if only_direct else []
    if role is not None:
        conditions.append(places.c.is_maintainer == (1 if role is TeamRole.MAINTAINER else 0))
    if text and text.isprintable():
        is_in_login = Account.login_key.contains(text.lower(), autoescape=True)
        conditions.append(is_in_login | func.lower(Account.name).contains(text.lower(), autoescape=True))
    counted = select(func.count()).select_from(places).join(Account, Account.id == places.c.account_id)
    total = await session.scalar(counted.where(*conditions)) or 0
    limit = max(1, min(per_page, PER_PAGE_MAX))
    rows = await session.execute(
        select(Account, places.c.is_maintainer, places.c.is_direct, places.c.joined_at)
        .join(places, places.c.account_id == Account.id)
        .where(*conditions)
        .order_by(Account.login_key)
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    return TeamMemberPage([_view(*row) for row in rows], total)


async def read_team_member(session: AsyncSession, actor: Actor, team_id: int, login: str) -> TeamMemberView:
    """Return somebody's place in a team, by a team below it too. Errors: NotFound, also for who has none."""
    await authorize_team(session, actor, Action.TEAM_READ, team_id)
    account = await find_account(session, login)
    if account is None:
        raise NotFound("Not Found")
    # ix_team_member_account_id_team_id, primary key of team_ancestor.
    members = (
        await session.scalars(
            select(TeamMember)
            .join(TeamAncestor, TeamAncestor.team_id == TeamMember.team_id)
            .where(TeamMember.account_id == account.id, TeamAncestor.ancestor_id == team_id)
        )
    ).all()
    if not members:
        raise NotFound("Not Found")
    own = next((member for member in members if member.team_id == team_id), None)
    is_maintainer = own is not None and own.role is TeamRole.MAINTAINER
    joined_at = min(member.joined_at for member in members)
    return _view(account, int(is_maintainer), int(own is not None), joined_at)


def _view(account: Account, is_maintainer: int, is_direct: int, joined_at: datetime) -> TeamMemberView:
    role = TeamRole.MAINTAINER if is_maintainer else TeamRole.MEMBER
    return TeamMemberView(account.id, account.login, account.name, role, bool(is_direct), joined_at)


def _changed(
    session: AsyncSession,
    actor: Actor,
    team: Team,
    account: Account,
    *,
    old_role: TeamRole | None,
    new_role: TeamRole | None,
) -> None:
    old, new = ("" if role is None else role.value for role in (old_role, new_role))
    emit(
        session,
        TeamMemberChanged(
            organization_id=team.organization_id,
            team_id=team.id,
            account_id=account.id,
            old_role=old,
            new_role=new,
            actor_id=actor.account_id,
        ),
    )
    record(
        session,
        actor,
        "team.member",
        f"{team.slug}: {account.login}",
        account_id=account.id,
        organization_id=team.organization_id,
        changes={"role": (old, new)},
    )
