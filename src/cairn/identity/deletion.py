"""Deleting an account: the person is gone, what they wrote keeps an author without a name.

The row stays as a ghost (``ghost-7``): history, comments and the audit log refer to it. Addresses, keys, tokens,
sessions, picture and profile go; the name stays taken, so that nobody receives what was meant for its owner.
"""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.models import Grant, OrganizationMember, TeamMember
from cairn.access.roles import OrganizationRole
from cairn.access.scopes import SITE, AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.identity.administration import lock_administrators
from cairn.identity.avatars import discard_picture
from cairn.identity.email_addresses import notify
from cairn.identity.events import AccountDeleted
from cairn.identity.models import (
    Account,
    AccountEmail,
    AccountRename,
    GpgKey,
    KnownHost,
    OrganizationInvitation,
    OutgoingKey,
    SigningKey,
    SshKey,
    Token,
)
from cairn.identity.names import GHOST_PREFIX
from cairn.identity.one_time_links import delete_links
from cairn.identity.organizations import lock_organization
from cairn.identity.reserved_logins import disown_reserved, reserve_login
from cairn.identity.sessions import end_sessions
from cairn.mail.outbox import Outbox

ListRepositories = Callable[[AsyncSession, int], Awaitable[Sequence[tuple[int, str]]]]
"""Returns id and name of every repository an account owns; from above, where repositories are known."""
DeleteRepository = Callable[[Actor, int], Awaitable[None]]
"""Deletes one repository in a transaction of its own."""


class StillOwns(Conflict):
    """The account cannot go yet; the message names what it alone owns."""


async def sole_organizations(session: AsyncSession, account_id: int) -> list[str]:
    """Return the names of the organizations that would be left without an owner who can act."""
    owner, suspended = OrganizationRole.OWNER, aliased(Account)
    others = (
        select(func.count())
        .select_from(OrganizationMember)
        .where(
            OrganizationMember.organization_id == Account.id,
            OrganizationMember.role == owner,
            OrganizationMember.account_id != account_id,
            OrganizationMember.account_id.not_in(select(suspended.id).where(suspended.suspended_at.is_not(None))),
        )
        .correlate(Account)
        .scalar_subquery()
    )
    own = select(OrganizationMember.organization_id).where(
        OrganizationMember.account_id == account_id, OrganizationMember.role == owner
    )
    names = await session.scalars(
        select(Account.login).where(Account.id.in_(own), others == 0).order_by(Account.login_key)
    )
    return list(names)


async def delete_account(
    database: Database,
    outbox: Outbox,
    actor: Actor,
    account_id: int,
    *,
    list_repositories: ListRepositories,
    delete_repository: DeleteRepository | None = None,
) -> None:
    """Delete an account for good, with its repositories if ``delete_repository`` is given.

    Errors: NotFound, Forbidden; StillOwns for repositories that should stay and organizations without another owner;
    Conflict for the last administrator.
    """
    async with database.read() as session:
        await _authorize(session, actor, account_id)
        await _require_free(session, account_id)
        repositories = await list_repositories(session, account_id)
    if delete_repository is not None:
        # One transaction each: a short lock a repository, and what fails half-way can be begun again.
        for repository_id, _ in repositories:
            await delete_repository(actor, repository_id)
    async with database.write() as session:
        await _authorize(session, actor, account_id)
        account = await _lock(session, account_id)
        await _require_free(session, account_id)
        left = await list_repositories(session, account_id)
        if left:
            names = ", ".join(name for _, name in left[:5])
            raise StillOwns(f"This account owns {len(left)} repositories ({names}); delete or transfer them first.")
        await _make_ghost(session, outbox, actor, account)


async def _authorize(session: AsyncSession, actor: Actor, account_id: int) -> None:
    """Return if this is the owner's own wish, never a token's, or an administrator's about somebody else."""
    if actor.is_site_admin and actor.account_id != account_id:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    else:
        await authorize(session, actor, Action.ACCOUNT_DELETE, AccountScope(account_id))


async def _lock(session: AsyncSession, account_id: int) -> Account:
    """Return the account, locked, after whatever must not be left by all its owners or administrators at once.

    Errors: Conflict if it joined another organization between the two.
    """
    if (await session.get_one(Account, account_id)).is_site_admin:
        await lock_administrators(session)
    # ix_organization_member_account_id_organization_id
    joined = select(OrganizationMember.organization_id).where(OrganizationMember.account_id == account_id)
    organizations = (await session.scalars(joined.order_by(OrganizationMember.organization_id))).all()
    for organization_id in organizations:
        await lock_organization(session, organization_id)
    # Nobody can give it anything any more (``hold_account``), nor make it a member: that refers to this row.
    account = await session.get_one(Account, account_id, with_for_update=True, populate_existing=True)
    if set(await session.scalars(joined)) - set(organizations):
        raise Conflict("This account joined an organization just now; try again.")
    return account


async def _require_free(session: AsyncSession, account_id: int) -> None:
    alone = await sole_organizations(session, account_id)
    if alone:
        raise StillOwns(f"Nobody else owns {', '.join(alone[:5])}; name another owner or delete it first.")
    account = await session.get_one(Account, account_id)
    others = select(func.count()).where(
        Account.is_site_admin.is_(True), Account.suspended_at.is_(None), Account.id != account_id
    )
    if account.is_site_admin and not await session.scalar(others):
        raise Conflict("This is the only administrator of the site; make somebody else one first.")


async def _make_ghost(session: AsyncSession, outbox: Outbox, actor: Actor, account: Account) -> None:
    login = account.login
    await notify(session, outbox, account, "Your account was deleted")
    record(session, actor, "account.delete", login, account_id=account.id)
    emit(session, AccountDeleted(account_id=account.id))
    await end_sessions(session, account.id)
    await delete_links(session, account.id)
    places = (Grant, OrganizationMember, TeamMember, OrganizationInvitation)
    keys = (SshKey, SigningKey, GpgKey, OutgoingKey, KnownHost)
    for kind in (Token, *keys, AccountEmail, AccountRename, *places):
        await session.execute(delete(kind).where(kind.account_id == account.id))
    await disown_reserved(session, account.id)
    await reserve_login(session, login, account_id=None)
    if account.avatar_id is not None:
        await discard_picture(session, account.avatar_id)
    moment = await database_now(session)
    account.login = account.login_key = f"{GHOST_PREFIX}{account.id}"
    account.name = account.bio = account.website = account.company = account.location = account.pronouns = ""
    account.public_email, account.avatar_id, account.password_hash = "", None, None
    account.is_site_admin, account.keeps_email_private = False, True
    account.suspended_at = account.deleted_at = account.updated_at = moment
    await session.flush()
