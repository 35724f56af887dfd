"""Organizations: accounts that own repositories for several people. Founding, finding, changing, deleting them.

Who belongs to one is ``organization_members``' business, teams are ``teams``'. Every change takes the lock of the
organization's row first, so that the last owner cannot leave twice at once.
"""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize, authorize_organization
from cairn.access.models import REPOSITORY, Organization, OrganizationMember, Team
from cairn.access.roles import BasePermission, OrganizationRole
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFound, Unauthenticated
from cairn.base.text import problem_of_text
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import OrganizationCreated, OrganizationDeleted, OrganizationEdited
from cairn.identity.models import Account, AccountKind, AccountRename
from cairn.identity.names import NameTaken, check_new_login
from cairn.identity.queries import find_account, hold_account
from cairn.identity.rename import change_login
from cairn.identity.reserved_logins import disown_reserved, require_unreserved, reserve_login
from cairn.identity.token_policy import LIFETIME_DAYS_MAX

_LENGTHS = {"name": 255, "description": 500, "website": 255, "location": 255}
"""Texts and how many characters their columns hold."""
_COLUMNS = {"description": "bio"}
"""Fields whose column has another name, because people and organizations share the table."""
_POLICIES = (
    "base_permission",
    "members_can_create_repositories",
    "members_can_create_teams",
    "token_lifetime_max_days",
)


class OrganizationNotEmpty(Conflict):
    """The organization still owns repositories, so it cannot be deleted."""


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """An organization as everybody may see it, and its policies, which only members should be shown."""

    id: int
    login: str
    name: str
    description: str
    website: str
    location: str
    base_permission: BasePermission
    members_can_create_repositories: bool
    members_can_create_teams: bool
    token_lifetime_max_days: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChange:
    """What is to be different; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    website: str | None = None
    location: str | None = None
    base_permission: BasePermission | None = None
    members_can_create_repositories: bool | None = None
    members_can_create_teams: bool | None = None
    token_lifetime_max_days: int | None = None


async def create_organization(session: AsyncSession, actor: Actor, *, login: str, name: str = "") -> OrganizationView:
    """Found an organization that the actor owns, and return it.

    Members may read all its repositories and make repositories and teams until its owners decide otherwise.
    Errors: Unauthenticated; Forbidden for a token without ``admin:org``; LoginInvalid, NameTaken, Invalid.
    """
    if actor.account_id is None:
        raise Unauthenticated("Sign in to found an organization.")
    await authorize(session, actor, Action.ORGANIZATION_CREATE, AccountScope(actor.account_id))
    await hold_account(session, actor.account_id)
    _check_texts(OrganizationChange(name=name))
    moment = await database_now(session)
    account = Account(
        login=login,
        login_key=login.lower(),
        kind=AccountKind.ORGANIZATION,
        name=name.strip(),
        created_at=moment,
        updated_at=moment,
    )
    await _insert_account(session, account)
    organization = Organization(account_id=account.id)
    session.add(organization)
    await session.flush()
    session.add(
        OrganizationMember(
            organization_id=account.id, account_id=actor.account_id, role=OrganizationRole.OWNER, joined_at=moment
        )
    )
    await session.flush()
    emit(session, OrganizationCreated(organization_id=account.id, login=login, actor_id=actor.account_id))
    record(session, actor, "organization.create", login, account_id=account.id)
    return _view(account, organization)


async def find_organization(
    session: AsyncSession, actor: Actor, login: str, action: Action = Action.ORGANIZATION_READ
) -> OrganizationView:
    """Return the organization of a name if the actor may do ``action`` to it.

    Errors: NotFound if no organization has the name; Unauthenticated, Forbidden.
    """
    account = await find_account(session, login)
    if account is None or account.kind is not AccountKind.ORGANIZATION:
        raise NotFound("Not Found")
    return await read_organization(session, actor, account.id, action)


async def read_organization(
    session: AsyncSession, actor: Actor, organization_id: int, action: Action = Action.ORGANIZATION_READ
) -> OrganizationView:
    """Return an organization if the actor may do ``action`` to it. Errors as ``find_organization``."""
    await authorize_organization(session, actor, action, organization_id)
    account = await session.get_one(Account, organization_id)
    return _view(account, await session.get_one(Organization, organization_id))


async def update_organization(
    session: AsyncSession, actor: Actor, organization_id: int, change: OrganizationChange
) -> OrganizationView:
    """Change profile or policies of an organization and return it as it is then. Errors: NotFound, Forbidden, Invalid.

    A policy counts from the next request of every member on.
    """
    _check_texts(change)
    organization = await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id)
    account = await session.get_one(Account, organization_id)
    changes: dict[str, tuple[str, str]] = {}
    for field in fields(change):
        wanted = getattr(change, field.name)
        if wanted is None:
            continue
        row, column = (organization, field.name) if field.name in _POLICIES else (account, _column(field.name))
        wanted = wanted.strip() if field.name in _LENGTHS else wanted
        before = getattr(row, column)
        if before != wanted:
            changes[field.name] = (_text(before), _text(wanted))
            setattr(row, column, wanted)
    if changes:
        account.updated_at = await database_now(session)
        await session.flush()
        emit(session, OrganizationEdited(organization_id=organization_id, changes=changes, actor_id=actor.account_id))
        record(session, actor, "organization.update", account.login, account_id=organization_id, changes=changes)
    return _view(account, organization)


async def rename_organization(
    session: AsyncSession, actor: Actor, organization_id: int, login: str
) -> OrganizationView:
    """Give an organization another name and return it; the old name redirects and stays with it for a while.

    Errors: NotFound, Forbidden; LoginInvalid, NameTaken; RateLimited after three in 30 days.
    """
    organization = await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id)
    account = await session.get_one(Account, organization_id, with_for_update=True, populate_existing=True)
    await change_login(session, actor, account, login)
    return _view(account, organization)


async def delete_organization(session: AsyncSession, actor: Actor, organization_id: int) -> None:
    """Delete an organization with its teams and memberships; its name stays taken, as a deleted person's does.

    Errors: NotFound, Forbidden; OrganizationNotEmpty while it owns repositories.
    """
    await lock_organization(session, organization_id)
    await authorize_organization(session, actor, Action.ORGANIZATION_DELETE, organization_id)
    # Nobody can put a repository under it any more (``hold_account``).
    account = await session.get_one(Account, organization_id, with_for_update=True, populate_existing=True)
    owned = await session.scalar(
        # uq_repository_owner_id_name_key
        select(func.count()).select_from(REPOSITORY).where(REPOSITORY.c.owner_id == organization_id)
    )
    if owned:
        raise OrganizationNotEmpty(
            f"{account.login} owns {owned:,} repositories, deleted ones included; transfer or erase them first."
            if owned > 1
            else f"{account.login} owns a repository, deleted or not; transfer or erase it first."
        )
    emit(
        session,
        OrganizationDeleted(organization_id=organization_id, login=account.login, actor_id=actor.account_id),
    )
    record(session, actor, "organization.delete", account.login, organization_id=organization_id)
    # A team refers to its parent without a cascade.
    await session.execute(update(Team).where(Team.organization_id == organization_id).values(parent_id=None))
    await session.execute(delete(AccountRename).where(AccountRename.account_id == organization_id))
    await disown_reserved(session, organization_id)
    await reserve_login(session, account.login, account_id=None)
    await session.execute(delete(Account).where(Account.id == organization_id))


async def lock_organization(session: AsyncSession, organization_id: int) -> Organization:
    """Return an organization, locked until the transaction ends; NotFound if it is gone."""
    found = await session.scalar(
        # Primary key of organization.
        select(Organization)
        .where(Organization.account_id == organization_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("Not Found")
    return found


async def hold_organization(session: AsyncSession, organization_id: int) -> None:
    """Return once nobody changes who belongs to an organization until the transaction ends: what members may, holds.

    Errors: NotFound if it is gone.
    """
    # Primary key of organization.
    held = select(Organization.account_id).where(Organization.account_id == organization_id)
    if await session.scalar(held.with_for_update(read=True)) is None:
        raise NotFound("Not Found")


def _check_texts(change: OrganizationChange) -> None:
    days = change.token_lifetime_max_days
    if days is not None and not 0 <= days <= LIFETIME_DAYS_MAX:
        message = f"Say 0 for no bound, or 1 to {LIFETIME_DAYS_MAX:,} days."
        raise Invalid(message, FieldProblem("token_lifetime_max_days", "invalid", message, "Organization"))
    for field, limit in _LENGTHS.items():
        value = getattr(change, field)
        problem = None if value is None else problem_of_text(value, max_length=limit)
        if problem is None and field == "website" and value and not value.strip().startswith(("http://", "https://")):
            problem = "must start with http:// or https://."
        if problem is not None:
            message = f"The {field} {problem}"
            raise Invalid(message, FieldProblem(field, "invalid", message, "Organization"))


async def _insert_account(session: AsyncSession, account: Account) -> None:
    check_new_login(account.login)
    await require_unreserved(session, account.login)
    if await find_account(session, account.login) is not None:
        raise _taken(account.login)
    try:
        session.add(account)
        await session.flush()
    except IntegrityError:
        # Somebody took the name at the same moment: the unique key let the other one win.
        raise _taken(account.login) from None
    await session.execute(delete(AccountRename).where(AccountRename.login_key == account.login_key))


def _taken(login: str) -> NameTaken:
    message = f"The name {login!r} is taken; choose another one."
    return NameTaken(message, FieldProblem("login", "already_exists", message, "Organization"))


def _view(account: Account, organization: Organization) -> OrganizationView:
    return OrganizationView(
        id=account.id,
        login=account.login,
        name=account.name,
        description=account.bio,
        website=account.website,
        location=account.location,
        base_permission=organization.base_permission,
        members_can_create_repositories=organization.members_can_create_repositories,
        members_can_create_teams=organization.members_can_create_teams,
        token_lifetime_max_days=organization.token_lifetime_max_days,
        created_at=account.created_at,
        updated_at=account.updated_at,
    )


def _column(field: str) -> str:
    return _COLUMNS.get(field, field)


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
