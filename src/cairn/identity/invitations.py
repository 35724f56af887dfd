"""Invitations into organizations, as their owners meet them: making, sending again, cancelling, listing.

A person is invited by name, or whoever proves an e-mail address; ``own_invitations`` is their side of it. Every change
takes the lock of the organization's row first, so that of cancelling and accepting at once one comes too late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization, authorize_team
from cairn.access.models import OrganizationMember, Team
from cairn.access.roles import OrganizationRole, TeamRole
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.db.changes import count_changed
from cairn.db.clock import database_now, now
from cairn.events.emit import emit
from cairn.identity.emails import check_email
from cairn.identity.events import OrganizationInvited
from cairn.identity.models import (
    Account,
    LinkPurpose,
    OrganizationInvitation,
    OrganizationInvitationTeam,
)
from cairn.identity.one_time_links import LinkOwner, make_link
from cairn.identity.organization_members import close_invitations, find_person
from cairn.identity.organizations import lock_organization
from cairn.identity.queries import hold_account, primary_email
from cairn.identity.teams import TeamView, read_team
from cairn.mail.outbox import Outbox

LIFETIME = timedelta(days=7)
KEPT_UNANSWERED = timedelta(days=30)
"""How long an invitation that nobody answered stays in the list of failed ones."""
OPEN_MAX = 200
"""Invitations of one organization that may wait for an answer at once."""
TEAMS_MAX = 50
PER_PAGE_MAX = 100


class InvitationInvalid(Invalid):
    """This invitation cannot be made: of whom or into what is wrong, or there are too many."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offered place, as owners see it. Either ``login`` or ``email`` says to whom, the other one is empty."""

    id: int
    organization_id: int
    account_id: int | None
    login: str
    email: str
    role: OrganizationRole
    inviter_id: int | None
    inviter: str
    teams: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    is_open: bool

    @property
    def invitee(self) -> str:
        """The name or the address, whichever was invited."""
        return self.login or self.email


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """Some invitations of a list, and how many the whole list has."""

    items: list[Invitation]
    total: int


async def invite(
    session: AsyncSession,
    outbox: Outbox,
    actor: Actor,
    organization_id: int,
    invitee: str,
    *,
    role: OrganizationRole = OrganizationRole.MEMBER,
    teams: Mapping[int, TeamRole] | None = None,
) -> Invitation:
    """Offer a place to a person by name, or to whoever proves an e-mail address, and return the invitation.

    A mail tells them; whoever accepts within 7 days joins the teams, too. For owners. The answer does not tell whether
    an address belongs to an account.
    Errors: NotFound, Forbidden; MemberInvalid for who is no person; EmailInvalid; InvitationInvalid for who is a member
    or invited already, a team of another organization, or one invitation too many.
    """
    await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    account, email = await _read_invitee(session, invitee)
    if account is not None and await session.get(OrganizationMember, (organization_id, account.id)) is not None:
        raise _refused(f"{account.login} is a member of the organization already.")
    if account is not None:
        await hold_account(session, account.id)
    key = account_key(account.id) if account is not None else email_key(email)
    if await find_open(session, organization_id, key) is not None:
        raise _refused(f"{invitee.strip()} is invited already.")
    await _require_room(session, organization_id)
    await _check_teams(session, organization_id, teams or {})
    # One that nobody answered makes way: each is in the lists once.
    await session.execute(delete(OrganizationInvitation).where(*_is_for(organization_id, key)))
    moment = await database_now(session)
    row = OrganizationInvitation(
        organization_id=organization_id,
        account_id=None if account is None else account.id,
        email=email,
        invitee_key=key,
        role=role,
        invited_by_id=actor.account_id,
        created_at=moment,
        expires_at=moment + LIFETIME,
    )
    session.add(row)
    await session.flush()
    for team_id, team_role in (teams or {}).items():
        session.add(OrganizationInvitationTeam(invitation_id=row.id, team_id=team_id, role=team_role))
    await session.flush()
    await _send(session, outbox, actor, row)
    _offered(session, actor, row)
    details = {"role": role.value} | ({"teams": str(len(teams))} if teams else {})
    await _record(session, actor, "organization.invite", row, details=details)
    return await read_invitation(session, actor, organization_id, row.id)


async def offer_role(
    session: AsyncSession, actor: Actor, organization_id: int, invitation_id: int, role: OrganizationRole
) -> Invitation:
    """Make an open invitation one to another role, and return it; no mail is sent. Errors: NotFound, Forbidden."""
    row = await _lock(session, actor, organization_id, invitation_id)
    if row.role is not role:
        changes = {"role": (row.role.value, role.value)}
        row.role = role
        await session.flush()
        _offered(session, actor, row)
        await _record(session, actor, "organization.change_invitation", row, changes=changes)
    return await read_invitation(session, actor, organization_id, invitation_id)


async def offer_team(
    session: AsyncSession, actor: Actor, organization_id: int, invitation_id: int, team: Team, role: TeamRole
) -> None:
    """Let whoever accepts an invitation join a team, too. Errors: NotFound, Forbidden; InvitationInvalid."""
    row = await _lock(session, actor, organization_id, invitation_id)
    place = await session.get(OrganizationInvitationTeam, (row.id, team.id), populate_existing=True)
    before = "" if place is None else place.role.value
    if place is None:
        joined = {one.team_id: one.role for one in await invited_teams(session, [row.id])}
        await _check_teams(session, organization_id, joined | {team.id: role})
        session.add(OrganizationInvitationTeam(invitation_id=row.id, team_id=team.id, role=role))
    else:
        place.role = role
    await session.flush()
    if before != role.value:
        changes = {f"team {team.slug}": (before, role.value)}
        await _record(session, actor, "organization.change_invitation", row, changes=changes)


async def resend_invitation(
    session: AsyncSession, outbox: Outbox, actor: Actor, organization_id: int, invitation_id: int
) -> Invitation:
    """Send the mail again and give the invitation another 7 days; also one that nobody answered in time.

    The link of an earlier mail stops working. Errors: NotFound, Forbidden; InvitationInvalid for who joined meanwhile.
    """
    row = await _lock(session, actor, organization_id, invitation_id)
    moment = await database_now(session)
    if row.expires_at <= moment:
        await _require_room(session, organization_id)
    if row.account_id and await session.get(OrganizationMember, (organization_id, row.account_id)) is not None:
        raise _refused("They are a member of the organization already.")
    row.expires_at = moment + LIFETIME
    await session.flush()
    await _send(session, outbox, actor, row)
    await _record(session, actor, "organization.resend_invitation", row)
    return await read_invitation(session, actor, organization_id, invitation_id)


async def cancel_invitation(session: AsyncSession, actor: Actor, organization_id: int, invitation_id: int) -> None:
    """Take an invitation back; its link stops working. Errors: NotFound (also once it was answered), Forbidden."""
    row = await _lock(session, actor, organization_id, invitation_id)
    await _record(session, actor, "organization.cancel_invitation", row)
    await close_invitations(session, actor, [row], "cancelled")


async def list_invitations(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    *,
    is_open: bool = True,
    role: OrganizationRole | None = None,
    page: int = 1,
    per_page: int = 30,
) -> InvitationPage:
    """Return one page of the invitations that wait for an answer, or of those that nobody answered; newest first.

    For owners. Errors: NotFound, Forbidden.
    """
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    # uq_organization_invitation_organization_id_invitee_key
    conditions = [OrganizationInvitation.organization_id == organization_id]
    conditions.append(OrganizationInvitation.expires_at > now() if is_open else expired())
    if role is not None:
        conditions.append(OrganizationInvitation.role == role)
    return await _page(session, conditions, page=page, per_page=per_page)


async def list_team_invitations(
    session: AsyncSession, actor: Actor, team_id: int, *, page: int = 1, per_page: int = 30
) -> InvitationPage:
    """Return one page of the open invitations that lead into a team; for who may change it. Errors: NotFound."""
    await authorize_team(session, actor, Action.TEAM_EDIT, team_id)
    # ix_organization_invitation_team_team_id
    leading = select(OrganizationInvitationTeam.invitation_id).where(OrganizationInvitationTeam.team_id == team_id)
    conditions = [OrganizationInvitation.id.in_(leading), OrganizationInvitation.expires_at > now()]
    return await _page(session, conditions, page=page, per_page=per_page)


async def read_invitation(session: AsyncSession, actor: Actor, organization_id: int, invitation_id: int) -> Invitation:
    """Return one invitation of an organization; for owners. Errors: NotFound, Forbidden."""
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    is_it = OrganizationInvitation.id == invitation_id
    found = await _page(session, [is_it, OrganizationInvitation.organization_id == organization_id])
    if not found.items:
        raise NotFound("Not Found")
    return found.items[0]


async def list_invitation_teams(
    session: AsyncSession, actor: Actor, organization_id: int, invitation_id: int
) -> list[TeamView]:
    """Return the teams that an invitation leads into, by name; for owners. Errors: NotFound, Forbidden."""
    await read_invitation(session, actor, organization_id, invitation_id)
    teams = [await read_team(session, actor, one.team_id) for one in await invited_teams(session, [invitation_id])]
    return sorted(teams, key=lambda team: team.slug)


async def delete_unanswered(session: AsyncSession) -> int:
    """Delete the invitations that nobody answered long ago, and return how many. For the worker."""
    long_ago = await database_now(session, plus=-KEPT_UNANSWERED)
    # ix_organization_invitation_expires_at
    old = delete(OrganizationInvitation).where(OrganizationInvitation.expires_at <= long_ago)
    return await count_changed(session, old)


def account_key(account_id: int) -> str:
    """Return what names a person among those invited."""
    return f"account:{account_id}"


def email_key(email: str) -> str:
    """Return what names whoever has an address among those invited."""
    return f"email:{email.lower()}"


def expired() -> ColumnElement[bool]:
    """Return the condition of invitations that nobody answered in time."""
    return OrganizationInvitation.expires_at <= now()


async def find_open(session: AsyncSession, organization_id: int, key: str) -> OrganizationInvitation | None:
    """Return what ``account_key`` or ``email_key`` is invited by and may still accept."""
    wanted = select(OrganizationInvitation).where(*_is_for(organization_id, key), ~expired())
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def invited_teams(session: AsyncSession, invitation_ids: Sequence[int]) -> list[OrganizationInvitationTeam]:
    """Return the places in teams that go with invitations."""
    rows = await session.scalars(
        # Primary key of organization_invitation_team.
        select(OrganizationInvitationTeam)
        .where(OrganizationInvitationTeam.invitation_id.in_(invitation_ids))
        .order_by(OrganizationInvitationTeam.team_id)
    )
    return list(rows)


def _is_for(organization_id: int, key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    # uq_organization_invitation_organization_id_invitee_key
    return OrganizationInvitation.organization_id == organization_id, OrganizationInvitation.invitee_key == key


async def _read_invitee(session: AsyncSession, text: str) -> tuple[Account | None, str]:
    """Return the person a text names, or the address it is."""
    text = text.strip()
    if "@" in text[1:]:
        return None, check_email(text)
    return await find_person(session, text.removeprefix("@")), ""


async def _lock(
    session: AsyncSession, actor: Actor, organization_id: int, invitation_id: int
) -> OrganizationInvitation:
    await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    row = await session.get(OrganizationInvitation, invitation_id, populate_existing=True)
    if row is None or row.organization_id != organization_id:
        raise NotFound("This invitation is no more: it was answered, cancelled, or is too old.")
    return row


async def _require_room(session: AsyncSession, organization_id: int) -> None:
    is_open = select(func.count()).where(OrganizationInvitation.organization_id == organization_id, ~expired())
    if (await session.scalar(is_open) or 0) >= OPEN_MAX:
        raise _refused(f"{OPEN_MAX} invitations wait for an answer; cancel some first.", "unprocessable")


async def _check_teams(session: AsyncSession, organization_id: int, teams: Mapping[int, TeamRole]) -> None:
    if len(teams) > TEAMS_MAX:
        raise _refused(f"An invitation leads into at most {TEAMS_MAX} teams.", "invalid", field="teams")
    own = select(func.count()).where(Team.id.in_(teams), Team.organization_id == organization_id)
    if teams and await session.scalar(own) != len(teams):
        raise _refused("A team is not of this organization.", "invalid", field="teams")


async def _send(session: AsyncSession, outbox: Outbox, actor: Actor, row: OrganizationInvitation) -> None:
    """Put the mail into the outbox. Who was invited by name signs in; a link only leads who was invited by address."""
    organization = await session.get_one(Account, row.organization_id)
    path = f"/orgs/{organization.login}/invitation"
    to = row.email
    if row.account_id is not None:
        to = await primary_email(session, row.account_id) or ""
    else:
        owner = LinkOwner(email=row.email.lower(), invitation_id=row.id)
        secret = await make_link(
            session, LinkPurpose.ORGANIZATION_INVITATION, lifetime=LIFETIME, owner=owner, voids_others=True
        )
        path = f"/join?invitation={secret}&next={path}"
    if to:
        await outbox.post(
            session,
            "identity/mail/organization_invitation",
            to=to,
            organization=organization.login,
            inviter=actor.label,
            is_owner=row.role is OrganizationRole.OWNER,
            path=path,
        )


async def _page(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], *, page: int = 1, per_page: int = PER_PAGE_MAX
) -> InvitationPage:
    invited, inviter = aliased(Account), aliased(Account)
    total = await session.scalar(select(func.count()).select_from(OrganizationInvitation).where(*conditions)) or 0
    limit = max(1, min(per_page, PER_PAGE_MAX))
    rows = (
        await session.execute(
            select(OrganizationInvitation, invited.login, inviter.login, ~expired())
            .outerjoin(invited, invited.id == OrganizationInvitation.account_id)
            .outerjoin(inviter, inviter.id == OrganizationInvitation.invited_by_id)
            .where(*conditions)
            .order_by(OrganizationInvitation.id.desc())
            .limit(limit)
            .offset((max(page, 1) - 1) * limit)
            .execution_options(populate_existing=True)
        )
    ).all()
    names = await _team_names(session, [row.id for row, *_ in rows])
    return InvitationPage([_view(*row, names.get(row[0].id, ())) for row in rows], total)


async def _team_names(session: AsyncSession, invitation_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    rows = await session.execute(
        # Primary keys of organization_invitation_team and team.
        select(OrganizationInvitationTeam.invitation_id, Team.name)
        .join(Team, Team.id == OrganizationInvitationTeam.team_id)
        .where(OrganizationInvitationTeam.invitation_id.in_(invitation_ids))
        .order_by(Team.slug)
    )
    names: dict[int, tuple[str, ...]] = {}
    for invitation_id, name in rows:
        names[invitation_id] = (*names.get(invitation_id, ()), name)
    return names


def _view(
    row: OrganizationInvitation, login: str | None, inviter: str | None, is_open: object, teams: tuple[str, ...]
) -> Invitation:
    return Invitation(
        id=row.id,
        organization_id=row.organization_id,
        account_id=row.account_id,
        login=login or "",
        email=row.email,
        role=row.role,
        inviter_id=row.invited_by_id,
        inviter=inviter or "",
        teams=teams,
        created_at=row.created_at,
        expires_at=row.expires_at,
        is_open=bool(is_open),
    )


def _offered(session: AsyncSession, actor: Actor, row: OrganizationInvitation) -> None:
    emit(
        session,
        OrganizationInvited(
            organization_id=row.organization_id,
            invitation_id=row.id,
            account_id=row.account_id,
            role=row.role.value,
            actor_id=actor.account_id,
        ),
    )


async def _record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    row: OrganizationInvitation,
    *,
    details: Mapping[str, str] | None = None,
    changes: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    account = None if row.account_id is None else await session.get_one(Account, row.account_id)
    record(
        session,
        actor,
        action,
        row.email if account is None else account.login,
        account_id=row.account_id,
        organization_id=row.organization_id,
        details=details,
        changes=changes,
    )


def _refused(message: str, code: str = "already_exists", *, field: str = "invitee") -> InvitationInvalid:
    return InvitationInvalid(message, FieldProblem(field, code, message, "OrganizationInvitation"))
