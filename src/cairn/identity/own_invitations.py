"""Invitations into organizations, as those who are invited meet them: seeing, accepting, declining.

An invitation is somebody's own if it names their account, or an address they have proved. Who was invited twice into
one organization, by name and by address, answers both at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.decide import decide
from cairn.access.models import OrganizationMember
from cairn.access.roles import OrganizationRole, TeamRole
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound, Unauthenticated
from cairn.identity.invitations import account_key, email_key, expired, invited_teams
from cairn.identity.models import Account, AccountEmail, OrganizationInvitation
from cairn.identity.one_time_links import LinkUnusable
from cairn.identity.organization_members import Member, admit, close_invitations
from cairn.identity.organizations import lock_organization
from cairn.identity.team_members import enter_team
from cairn.identity.teams import lock_team


class NotInvited(NotFound):
    """Nobody invited this account, or the invitation was taken back or is too old."""


@dataclass(frozen=True, slots=True)
class OwnInvitation:
    """A place that somebody is offered."""

    organization_id: int
    login: str
    name: str
    role: OrganizationRole
    inviter_id: int | None
    inviter: str
    created_at: datetime
    expires_at: datetime


async def list_own_invitations(session: AsyncSession, actor: Actor) -> list[OwnInvitation]:
    """Return where the actor is invited to, by name. Errors: Unauthenticated; Forbidden for a narrow token."""
    account_id = _account_id(actor)
    await authorize(session, actor, Action.ACCOUNT_READ_INVITATIONS, AccountScope(account_id))
    organization, inviter = aliased(Account), aliased(Account)
    rows = await session.execute(
        # ix_organization_invitation_invitee_key, primary key of account.
        select(OrganizationInvitation, organization, inviter.login)
        .join(organization, organization.id == OrganizationInvitation.organization_id)
        .outerjoin(inviter, inviter.id == OrganizationInvitation.invited_by_id)
        .where(OrganizationInvitation.invitee_key.in_(await _keys(session, account_id)), ~expired())
        .order_by(organization.login_key, OrganizationInvitation.id)
    )
    found: dict[int, OwnInvitation] = {}
    for row, account, inviter_login in rows:
        known = found.get(account.id)
        role = row.role if known is None else _stronger(row.role, known.role)
        found[account.id] = OwnInvitation(
            account.id,
            account.login,
            account.name,
            role,
            row.invited_by_id,
            inviter_login or "",
            row.created_at,
            row.expires_at,
        )
    return list(found.values())


async def offers_to(session: AsyncSession, actor: Actor) -> list[OwnInvitation]:
    """Return where the actor is invited to; none to who is not signed in, or has a token that may not know."""
    if actor.account_id is None:
        return []
    if not decide(actor, Action.ACCOUNT_READ_INVITATIONS, AccountScope(actor.account_id)).allowed:
        return []
    return await list_own_invitations(session, actor)


async def find_own_invitation(session: AsyncSession, actor: Actor, organization_id: int) -> OwnInvitation:
    """Return what the actor is offered in an organization. Errors: NotInvited; Unauthenticated, Forbidden."""
    for invitation in await list_own_invitations(session, actor):
        if invitation.organization_id == organization_id:
            return invitation
    raise _not_invited()


async def accept_invitation(session: AsyncSession, actor: Actor, organization_id: int) -> Member:
    """Join an organization and the teams the invitation names, and return the actor as its member.

    A member who was invited by an address meanwhile keeps the stronger role. Errors: NotInvited, also for the second
    of two at once and for one just cancelled; Unauthenticated, Forbidden (a suspended person, a narrow token).
    """
    account, rows = await _lock_own(session, actor, organization_id)
    member = await session.get(OrganizationMember, (organization_id, account.id), populate_existing=True)
    roles = [row.role for row in rows] + ([] if member is None else [member.role])
    joined = await admit(session, actor, organization_id, account, _stronger(*roles))
    places: dict[int, TeamRole] = {}
    for place in await invited_teams(session, [row.id for row in rows]):
        is_maintainer = TeamRole.MAINTAINER in {place.role, places.get(place.team_id)}
        places[place.team_id] = TeamRole.MAINTAINER if is_maintainer else TeamRole.MEMBER
    for team_id, role in places.items():
        team_role = TeamRole.MAINTAINER if joined.role is OrganizationRole.OWNER else role
        await enter_team(session, actor, await lock_team(session, team_id), account, team_role)
    _record(session, actor, "organization.accept_invitation", account, organization_id, role=joined.role)
    await close_invitations(session, actor, rows, "accepted")
    return joined


async def decline_invitation(session: AsyncSession, actor: Actor, organization_id: int) -> None:
    """Decline a place. Errors: as ``accept_invitation``."""
    account, rows = await _lock_own(session, actor, organization_id)
    role = _stronger(*(row.role for row in rows))
    _record(session, actor, "organization.decline_invitation", account, organization_id, role=role)
    await close_invitations(session, actor, rows, "declined")


async def read_invitation_of_link(session: AsyncSession, invitation_id: int | None) -> tuple[str, str]:
    """Return the organization's name and the address that the invitation of a link is for. Errors: LinkUnusable."""
    row = (
        await session.execute(
            # Primary keys.
            select(Account.login, OrganizationInvitation.email)
            .join(OrganizationInvitation, OrganizationInvitation.organization_id == Account.id)
            .where(OrganizationInvitation.id == invitation_id, ~expired())
        )
    ).one_or_none()
    if row is None:
        raise LinkUnusable("This invitation is over; ask for a new one.")
    return row[0], row[1]


async def _lock_own(
    session: AsyncSession, actor: Actor, organization_id: int
) -> tuple[Account, Sequence[OrganizationInvitation]]:
    account_id = _account_id(actor)
    await authorize(session, actor, Action.ACCOUNT_ANSWER_INVITATIONS, AccountScope(account_id))
    await lock_organization(session, organization_id)
    rows = (
        await session.scalars(
            # uq_organization_invitation_organization_id_invitee_key
            select(OrganizationInvitation)
            .where(
                OrganizationInvitation.organization_id == organization_id,
                OrganizationInvitation.invitee_key.in_(await _keys(session, account_id)),
                ~expired(),
            )
            .order_by(OrganizationInvitation.id)
            .execution_options(populate_existing=True)
        )
    ).all()
    if not rows:
        raise _not_invited()
    return await session.get_one(Account, account_id), rows


async def _keys(session: AsyncSession, account_id: int) -> list[str]:
    """Return everything the account may be invited as: itself, and the addresses it has proved."""
    proved = await session.scalars(
        # ix_account_email_account_id
        select(AccountEmail.email_key).where(
            AccountEmail.account_id == account_id, AccountEmail.verified_at.is_not(None)
        )
    )
    return [account_key(account_id), *map(email_key, proved)]


def _account_id(actor: Actor) -> int:
    if actor.account_id is None:
        raise Unauthenticated("Sign in to see what you are invited to.")
    return actor.account_id


def _stronger(*roles: OrganizationRole) -> OrganizationRole:
    return OrganizationRole.OWNER if OrganizationRole.OWNER in roles else OrganizationRole.MEMBER


def _record(
    session: AsyncSession, actor: Actor, action: str, account: Account, organization_id: int, *, role: OrganizationRole
) -> None:
    details = {"role": role.value}
    record(
        session, actor, action, account.login, account_id=account.id, organization_id=organization_id, details=details
    )


def _not_invited() -> NotInvited:
    return NotInvited("There is no invitation for you here: it was answered, taken back, or is older than 7 days.")
