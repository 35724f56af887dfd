"""Giving people places in organizations and teams: at once where that may be, by an invitation otherwise.

Who is a member already is asked nothing. Others are invited by owners, and added at once by site administrators, as on
GitHub Enterprise Server.
"""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization, authorize_team
from cairn.access.decide import decide
from cairn.access.models import OrganizationMember
from cairn.access.roles import OrganizationRole, TeamRole
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.identity.invitations import (
    Invitation,
    account_key,
    cancel_invitation,
    find_open,
    invite,
    invited_teams,
    offer_role,
    offer_team,
    read_invitation,
)
from cairn.identity.organization_members import (
    Member,
    find_person,
    may_add_at_once,
    put_member,
    remove_member,
)
from cairn.identity.organizations import lock_organization
from cairn.identity.queries import find_account
from cairn.identity.team_members import TeamMemberView, put_team_member
from cairn.identity.teams import lock_team
from cairn.mail.outbox import Outbox


async def needs_invitation(session: AsyncSession, actor: Actor, organization_id: int, login: str) -> bool:
    """Tell whether giving somebody a place would invite them with a mail. Errors: MemberInvalid."""
    account = await find_person(session, login)
    if may_add_at_once(actor) or await session.get(OrganizationMember, (organization_id, account.id)) is not None:
        return False
    return await find_open(session, organization_id, account_key(account.id)) is None


async def place_in_organization(
    session: AsyncSession,
    outbox: Outbox,
    actor: Actor,
    organization_id: int,
    *,
    login: str,
    role: OrganizationRole,
) -> Member | Invitation:
    """Make somebody a member or owner, or invite them to become it; an open invitation gets the role.

    For owners. Errors: NotFound, Forbidden; MemberInvalid, LastOwner; InvitationInvalid.
    """
    await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    account = await find_person(session, login)
    is_member = await session.get(OrganizationMember, (organization_id, account.id)) is not None
    if is_member or may_add_at_once(actor):
        return await put_member(session, actor, organization_id, login=login, role=role)
    waiting = await find_open(session, organization_id, account_key(account.id))
    if waiting is not None:
        return await offer_role(session, actor, organization_id, waiting.id, role)
    return await invite(session, outbox, actor, organization_id, account.login, role=role)


async def add_at_once(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    *,
    login: str,
    role: OrganizationRole,
    teams: Iterable[int],
) -> Member:
    """Make somebody a member and put them into teams without asking them, as site administrators may.

    Errors: NotFound, Forbidden; MemberInvalid, LastOwner; TeamMemberInvalid.
    """
    member = await put_member(session, actor, organization_id, login=login, role=role)
    for team_id in teams:
        team = await lock_team(session, team_id)
        if team.organization_id != organization_id:
            raise NotFound("Not Found")
        await put_team_member(session, actor, team_id, login=login, role=TeamRole.MEMBER)
    return member


async def place_in_team(
    session: AsyncSession, outbox: Outbox, actor: Actor, team_id: int, *, login: str, role: TeamRole
) -> TeamMemberView | Invitation:
    """Put somebody into a team, or invite who is no member into the organization and the team.

    The first is for owners and the team's maintainers, the second for owners. Errors: NotFound, Forbidden;
    MemberInvalid, InvitationInvalid.
    """
    team = await lock_team(session, team_id)
    await authorize_team(session, actor, Action.TEAM_EDIT, team_id)
    account = await find_person(session, login)
    organization_id = team.organization_id
    if await session.get(OrganizationMember, (organization_id, account.id)) is not None:
        return await put_team_member(session, actor, team_id, login=login, role=role)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    if may_add_at_once(actor):
        await put_member(session, actor, organization_id, login=login, role=OrganizationRole.MEMBER)
        return await put_team_member(session, actor, team_id, login=login, role=role)
    waiting = await find_open(session, organization_id, account_key(account.id))
    if waiting is None:
        return await invite(session, outbox, actor, organization_id, account.login, teams={team_id: role})
    await offer_team(session, actor, organization_id, waiting.id, team, role)
    return await read_invitation(session, actor, organization_id, waiting.id)


async def end_place(session: AsyncSession, actor: Actor, organization_id: int, login: str) -> None:
    """End somebody's membership, or take their invitation back if they are only invited.

    Errors: as ``remove_member``.
    """
    await lock_organization(session, organization_id)
    waiting = await find_invited(session, actor, organization_id, login)
    if waiting is None:
        await remove_member(session, actor, organization_id, login=login)
    else:
        await cancel_invitation(session, actor, organization_id, waiting.id)


async def find_invited(
    session: AsyncSession, actor: Actor, organization_id: int, login: str, *, team_id: int | None = None
) -> Invitation | None:
    """Return the open invitation of a person by name (into a team); None to who may not know of it."""
    scope = await authorize_organization(session, actor, Action.ORGANIZATION_READ, organization_id)
    if not decide(actor, Action.ORGANIZATION_EDIT_MEMBERS, scope).allowed:
        return None
    account = await find_account(session, login)
    waiting = None if account is None else await find_open(session, organization_id, account_key(account.id))
    if waiting is None:
        return None
    if team_id is not None and team_id not in {one.team_id for one in await invited_teams(session, [waiting.id])}:
        return None
    return await read_invitation(session, actor, organization_id, waiting.id)


async def role_in_offered_team(session: AsyncSession, invitation_id: int, team_id: int) -> TeamRole:
    """Return what somebody becomes in a team whose invitation ``find_invited`` found. For our own code."""
    return next(one.role for one in await invited_teams(session, [invitation_id]) if one.team_id == team_id)
