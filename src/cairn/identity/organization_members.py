"""Who belongs to an organization: members and owners, and what goes with them when they leave.

An outside collaborator is no member but has a grant on some of the organization's repositories.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization, load_organizations
from cairn.access.decide import decide
from cairn.access.models import REPOSITORY, Grant, OrganizationMember, Team, TeamMember
from cairn.access.roles import OrganizationRole
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound
from cairn.db.changes import count_changed
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import OrganizationInvitationClosed, OrganizationMemberChanged
from cairn.identity.models import Account, AccountKind, OrganizationInvitation
from cairn.identity.organizations import lock_organization
from cairn.identity.queries import find_account, hold_account

PER_PAGE_MAX = 100


class MemberInvalid(Invalid):
    """This account cannot be a member: nobody has the name, or it is an organization."""


class LastOwner(Conflict):
    """An organization always has an owner who can act; name another one first."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in an organization."""

    account_id: int
    login: str
    name: str
    role: OrganizationRole
    is_public: bool
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Some members of a list, and how many the whole list has."""

    items: list[Member]
    total: int


@dataclass(frozen=True, slots=True)
class OutsideCollaborator:
    """Somebody with a role on some of an organization's repositories who is no member of it."""

    account_id: int
    login: str
    name: str
    repositories: int


@dataclass(frozen=True, slots=True)
class Membership:
    """An organization somebody belongs to."""

    organization_id: int
    login: str
    name: str
    role: OrganizationRole
    is_public: bool


async def put_member(
    session: AsyncSession, actor: Actor, organization_id: int, *, login: str, role: OrganizationRole
) -> Member:
    """Change what a member is, or make somebody a member or owner at once, and return them.

    The first is for owners. Who is no member yet is asked (``invitations``) unless a site administrator adds them; no
    invitation waits for them any more then.
    Errors: NotFound, Forbidden; MemberInvalid; LastOwner.
    """
    await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    account = await find_person(session, login)
    if await _member(session, organization_id, account.id) is None and not may_add_at_once(actor):
        raise Forbidden(f"{account.login} is no member; invite them. Only site administrators add people at once.")
    member = await admit(session, actor, organization_id, account, role)
    # ix_organization_invitation_account_id. What waits would bring back whoever is removed later.
    waiting = select(OrganizationInvitation).where(
        OrganizationInvitation.organization_id == organization_id, OrganizationInvitation.account_id == account.id
    )
    await close_invitations(session, actor, (await session.scalars(waiting)).all(), "cancelled")
    return member


def may_add_at_once(actor: Actor) -> bool:
    """Tell whether the actor may make people members without asking them."""
    return decide(actor, Action.SITE_ADMINISTER, SITE).allowed


async def find_person(session: AsyncSession, login: str) -> Account:
    """Return the person of a name. Errors: MemberInvalid if nobody has it, or an organization."""
    account = await find_account(session, login)
    if account is None or account.kind is not AccountKind.USER:
        message = f"There is no person {login[:60]!r}." if account is None else f"{account.login} is no person."
        raise MemberInvalid(message, FieldProblem("username", "invalid", message, "Membership"))
    return account


async def admit(
    session: AsyncSession, actor: Actor, organization_id: int, account: Account, role: OrganizationRole
) -> Member:
    """Make a person a member without asking whether ``actor`` may: for an accepted invitation, which somebody decided.

    Who is a member already gets the role. Errors: NotFound, also if the account is being deleted; LastOwner.
    """
    await lock_organization(session, organization_id)
    await hold_account(session, account.id)
    member = await _member(session, organization_id, account.id)
    old_role = None if member is None else member.role
    if member is None:
        member = OrganizationMember(
            organization_id=organization_id, account_id=account.id, joined_at=await database_now(session)
        )
        member.is_public = False
        session.add(member)
    elif role is not OrganizationRole.OWNER:
        await _require_another_owner(session, member)
    if old_role is not role:
        member.role = role
        await session.flush()
        _changed(session, actor, organization_id, account, old_role=old_role, new_role=role)
    return Member(account.id, account.login, account.name, role, member.is_public, member.joined_at)


async def close_invitations(
    session: AsyncSession, actor: Actor, rows: Sequence[OrganizationInvitation], outcome: str
) -> None:
    """Delete invitations of a locked organization, with their links, and tell how they ended."""
    for row in rows:
        emit(
            session,
            OrganizationInvitationClosed(
                organization_id=row.organization_id,
                invitation_id=row.id,
                account_id=row.account_id,
                outcome=outcome,
                actor_id=actor.account_id,
            ),
        )
        await session.delete(row)
    await session.flush()


async def remove_member(
    session: AsyncSession, actor: Actor, organization_id: int, *, login: str, keep_grants: bool = False
) -> None:
    """End somebody's membership, also the actor's own: out of all teams, and of all repositories but public ones.

    ``keep_grants`` leaves what they were granted on single repositories: they become an outside collaborator.
    Errors: NotFound (also for who is no member), Forbidden; LastOwner.
    """
    await lock_organization(session, organization_id)
    account = await find_account(session, login)
    leaves = account is not None and account.id == actor.account_id
    action = Action.ORGANIZATION_LEAVE if leaves and not keep_grants else Action.ORGANIZATION_EDIT_MEMBERS
    await authorize_organization(session, actor, action, organization_id)
    member = None if account is None else await _member(session, organization_id, account.id)
    if account is None or member is None:
        raise NotFound(f"{login[:60]!r} is no member here.")
    await _require_another_owner(session, member)
    old_role = member.role
    await session.delete(member)
    await session.flush()
    await _leave_teams(session, organization_id, account.id)
    if not keep_grants:
        await _revoke_grants(session, organization_id, account.id)
    _changed(session, actor, organization_id, account, old_role=old_role, new_role=None)


async def remove_outside_collaborator(session: AsyncSession, actor: Actor, organization_id: int, *, login: str) -> None:
    """Take every grant on the organization's repositories from somebody who is no member.

    Errors: NotFound (also for who has none), Forbidden; MemberInvalid for a member, who is removed as such.
    """
    await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    account = await find_account(session, login)
    if account is not None and await _member(session, organization_id, account.id) is not None:
        message = f"{account.login} is a member of the organization; remove them as one."
        raise MemberInvalid(message, FieldProblem("username", "invalid", message, "Membership"))
    if account is None or await _revoke_grants(session, organization_id, account.id) == 0:
        raise NotFound(f"{login[:60]!r} is no outside collaborator here.")
    record(
        session,
        actor,
        "organization.remove_outside_collaborator",
        account.login,
        account_id=account.id,
        organization_id=organization_id,
    )


async def publish_membership(
    session: AsyncSession, actor: Actor, organization_id: int, *, login: str, is_public: bool
) -> None:
    """Show a membership to everybody or to members only. People show their own; owners may hide anybody's.

    Errors: NotFound (also for who is no member), Forbidden.
    """
    await lock_organization(session, organization_id)
    account = await find_account(session, login)
    own = account is not None and account.id == actor.account_id
    action = Action.ORGANIZATION_LEAVE if own else Action.ORGANIZATION_EDIT_MEMBERS
    await authorize_organization(session, actor, action, organization_id)
    if is_public and not own:
        raise Forbidden("Only people themselves can make their membership public.")
    member = None if account is None else await _member(session, organization_id, account.id)
    if account is None or member is None:
        raise NotFound(f"{login[:60]!r} is no member here.")
    if member.is_public == is_public:
        return
    changes = {"is_public": ("yes" if member.is_public else "no", "yes" if is_public else "no")}
    member.is_public = is_public
    await session.flush()
    record(
        session,
        actor,
        "organization.publish_membership",
        account.login,
        account_id=account.id,
        organization_id=organization_id,
        changes=changes,
    )


async def list_members(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    *,
    role: OrganizationRole | None = None,
    only_public: bool = False,
    text: str = "",
    page: int = 1,
    per_page: int = 30,
) -> MemberPage:
    """Return one page of the members by name, of one role if given; who is no member sees the public ones.

    ``text`` is part of the login or name, without case. Errors: NotFound.
    """
    scope = await authorize_organization(session, actor, Action.ORGANIZATION_READ, organization_id)
    # Primary key of organization_member, then primary key of account.
    conditions = [OrganizationMember.organization_id == organization_id]
    if only_public or not decide(actor, Action.ORGANIZATION_READ_PRIVATE, scope).allowed:
        conditions.append(OrganizationMember.is_public.is_(True))
    if role is not None:
        conditions.append(OrganizationMember.role == role)
    if text and text.isprintable():
        conditions.append(
            or_(
                Account.login_key.contains(text.lower(), autoescape=True),
                func.lower(Account.name).contains(text.lower(), autoescape=True),
            )
        )
    chosen = select(OrganizationMember, Account).join(Account, Account.id == OrganizationMember.account_id)
    chosen = chosen.where(*conditions)
    total = await session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    limit = max(1, min(per_page, PER_PAGE_MAX))
    rows = await session.execute(chosen.order_by(Account.login_key).limit(limit).offset((max(page, 1) - 1) * limit))
    return MemberPage([_view(member, account) for member, account in rows], total)


async def read_member(session: AsyncSession, actor: Actor, organization_id: int, login: str) -> Member:
    """Return one member whom the actor may see. Errors: NotFound, also for a hidden membership.

    A token that reads no organizations sees no hidden one either, its owner's own included.
    """
    scope = await authorize_organization(session, actor, Action.ORGANIZATION_READ, organization_id)
    account = await find_account(session, login)
    member = None if account is None else await _member(session, organization_id, account.id)
    if account is None or member is None:
        raise NotFound("Not Found")
    if not (member.is_public or decide(actor, Action.ORGANIZATION_READ_PRIVATE, scope).allowed):
        raise NotFound("Not Found")
    return _view(member, account)


async def list_outside_collaborators(
    session: AsyncSession, actor: Actor, organization_id: int, *, limit: int = 1000
) -> list[OutsideCollaborator]:
    """Return who has grants on the organization's repositories without being a member, by name; owners may ask.

    Errors: NotFound, Forbidden.
    """
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization_id)
    is_member = exists(
        select(literal(1)).where(
            OrganizationMember.organization_id == organization_id, OrganizationMember.account_id == Grant.account_id
        )
    )
    rows = await session.execute(
        # uq_repository_owner_id_name_key, primary keys of access_grant, organization_member and account.
        select(Account.id, Account.login, Account.name, func.count())
        .select_from(REPOSITORY)
        .join(Grant, Grant.repository_id == REPOSITORY.c.id)
        .join(Account, Account.id == Grant.account_id)
        .where(REPOSITORY.c.owner_id == organization_id, ~is_member)
        .group_by(Account.id, Account.login, Account.name, Account.login_key)
        .order_by(Account.login_key)
        .limit(limit)
    )
    return [OutsideCollaborator(*row) for row in rows]


async def list_memberships(session: AsyncSession, actor: Actor, account_id: int) -> list[Membership]:
    """Return the organizations of an account by name: all for itself, for others those they may know of."""
    # ix_organization_member_account_id_organization_id, primary key of account.
    rows = (
        await session.execute(
            select(OrganizationMember, Account)
            .join(Account, Account.id == OrganizationMember.organization_id)
            .where(OrganizationMember.account_id == account_id)
            .order_by(Account.login_key)
        )
    ).all()
    concealed = [account.id for member, account in rows if not member.is_public]
    scopes = await load_organizations(session, actor, concealed) if concealed else {}
    readable = {
        organization_id
        for organization_id, scope in scopes.items()
        if decide(actor, Action.ORGANIZATION_READ_PRIVATE, scope).allowed
    }
    return [
        Membership(account.id, account.login, account.name, member.role, member.is_public)
        for member, account in rows
        if member.is_public or account.id in readable
    ]


async def _member(session: AsyncSession, organization_id: int, account_id: int) -> OrganizationMember | None:
    return await session.get(OrganizationMember, (organization_id, account_id), populate_existing=True)


async def _require_another_owner(session: AsyncSession, member: OrganizationMember) -> None:
    """Return if the organization has an owner besides this member, one who is not suspended; else LastOwner."""
    if member.role is not OrganizationRole.OWNER:
        return
    others = await session.scalar(
        select(func.count())
        .select_from(OrganizationMember)
        .join(Account, Account.id == OrganizationMember.account_id)
        .where(
            OrganizationMember.organization_id == member.organization_id,
            OrganizationMember.role == OrganizationRole.OWNER,
            OrganizationMember.account_id != member.account_id,
            Account.suspended_at.is_(None),
        )
    )
    if not others:
        organization = await session.get_one(Account, member.organization_id)
        raise LastOwner(f"{organization.login} needs an owner; make somebody else an owner first.")


async def _leave_teams(session: AsyncSession, organization_id: int, account_id: int) -> None:
    teams = select(Team.id).where(Team.organization_id == organization_id)
    await session.execute(
        delete(TeamMember)
        .where(TeamMember.account_id == account_id, TeamMember.team_id.in_(teams))
        .execution_options(synchronize_session=False)
    )


async def _revoke_grants(session: AsyncSession, organization_id: int, account_id: int) -> int:
    owned = select(REPOSITORY.c.id).where(REPOSITORY.c.owner_id == organization_id)
    # ix_access_grant_account_id_repository_id
    return await count_changed(
        session, delete(Grant).where(Grant.account_id == account_id, Grant.repository_id.in_(owned))
    )


def _changed(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    account: Account,
    *,
    old_role: OrganizationRole | None,
    new_role: OrganizationRole | None,
) -> None:
    old, new = ("" if role is None else role.value for role in (old_role, new_role))
    emit(
        session,
        OrganizationMemberChanged(
            organization_id=organization_id,
            account_id=account.id,
            old_role=old,
            new_role=new,
            actor_id=actor.account_id,
        ),
    )
    record(
        session,
        actor,
        "organization.member",
        account.login,
        account_id=account.id,
        organization_id=organization_id,
        changes={"role": (old, new)},
    )


def _view(member: OrganizationMember, account: Account) -> Member:
    return Member(account.id, account.login, account.name, member.role, member.is_public, member.joined_at)
