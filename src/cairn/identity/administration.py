"""What administrators do to other people's accounts, besides suspending them: rights, sessions, looking for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.models import AuditEntry
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, NotFound
from cairn.db.clock import now
from cairn.identity.models import Account, AccountEmail, AccountKind, Session
from cairn.identity.queries import find_account
from cairn.identity.rename import change_login
from cairn.identity.sessions import end_sessions

_SAME_MOMENT = timedelta(minutes=1)
"""Two times that one transaction wrote differ by less."""


class LastAdministrator(Conflict):
    """Without this account nobody would administer the installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAccount:
    """An account in an administrator's list."""

    id: int
    login: str
    name: str
    email: str
    is_site_admin: bool
    suspended_at: datetime | None
    created_at: datetime


async def search_accounts(
    session: AsyncSession, actor: Actor, *, kind: AccountKind, text: str = "", after: str = "", limit: int = 50
) -> Sequence[FoundAccount]:
    """Return accounts by name, from the one after the login ``after``; ``text`` is part of login, name or address."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    query = (
        select(Account, AccountEmail.email)
        .outerjoin(AccountEmail, (AccountEmail.account_id == Account.id) & AccountEmail.is_primary.is_(True))
        .where(Account.kind == kind, Account.deleted_at.is_(None), Account.login_key > after.lower())
        .order_by(Account.login_key)  # uq_account_login_key
        .limit(limit)
    )
    if text:
        places = (Account.login_key, func.lower(Account.name), AccountEmail.email_key)
        query = query.where(or_(*(place.contains(text.lower(), autoescape=True) for place in places)))
    return [
        FoundAccount(
            id=one.id,
            login=one.login,
            name=one.name,
            email=email or "",
            is_site_admin=one.is_site_admin,
            suspended_at=one.suspended_at,
            created_at=one.created_at,
        )
        for one, email in await session.execute(query)
    ]


async def find_person(session: AsyncSession, actor: Actor, login: str) -> tuple[Account, int]:
    """Return a person's account and how many sessions are open; NotFound for an organization too."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    account = await _person(session, login)
    open_sessions = select(func.count()).where(Session.account_id == account.id, Session.expires_at > now())
    return account, await session.scalar(open_sessions) or 0


async def find_suspension_reason(session: AsyncSession, account: Account) -> str:
    """Return why a person is shut out, as the audit log tells it; empty if nobody said, or the log forgot it."""
    if account.suspended_at is None:
        return ""
    # ix_audit_entry_at: the entry was made in the transaction that noted the moment.
    entry = await session.scalar(
        select(AuditEntry)
        .where(
            AuditEntry.at.between(account.suspended_at - _SAME_MOMENT, account.suspended_at + _SAME_MOMENT),
            AuditEntry.action == "account.suspend",
            AuditEntry.target == account.login,
        )
        .order_by(AuditEntry.id.desc())
        .limit(1)
    )
    return "" if entry is None else str(entry.details.get("reason", ""))


async def set_site_admin(session: AsyncSession, actor: Actor, login: str, *, is_site_admin: bool) -> None:
    """Make somebody an administrator, or no longer; their sessions end, so that the change holds everywhere.

    Errors: LastAdministrator for the only one who is not suspended.
    """
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    account = await _person(session, login)
    if account.is_site_admin == is_site_admin:
        return
    if not is_site_admin:
        await _require_another(session, account)
    account.is_site_admin = is_site_admin
    await end_sessions(session, account.id)
    changes = {"site_admin": ("no", "yes") if is_site_admin else ("yes", "no")}
    record(session, actor, "account.administer", account.login, account_id=account.id, changes=changes)


async def rename_person(session: AsyncSession, actor: Actor, login: str, new_login: str) -> Account:
    """Give somebody another name on an administrator's word; errors as ``rename_account``."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    found = await _person(session, login)
    account = await session.get_one(Account, found.id, with_for_update=True, populate_existing=True)
    await change_login(session, actor, account, new_login)
    return account


async def sign_out_everywhere(session: AsyncSession, actor: Actor, login: str) -> int:
    """End every session of a person and return how many; their tokens and keys go on working."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    account = await _person(session, login)
    ended = await end_sessions(session, account.id)
    record(session, actor, "session.revoke_all", account.login, account_id=account.id, details={"ended": str(ended)})
    return ended


async def _person(session: AsyncSession, login: str) -> Account:
    account = await find_account(session, login)
    if account is None or account.kind is not AccountKind.USER or account.deleted_at is not None:
        raise NotFound(f"There is no account {login[:60]!r}.")
    return account


async def lock_administrators(session: AsyncSession) -> set[int]:
    """Return who administers the installation, locked, so that of two who go at once one stays."""
    # A handful of rows; a scan on every database. In one order, so that two wait instead of deadlocking.
    administrators = await session.scalars(
        select(Account.id)
        .where(Account.is_site_admin.is_(True), Account.suspended_at.is_(None))
        .order_by(Account.id)
        .with_for_update()
    )
    return set(administrators)


async def _require_another(session: AsyncSession, account: Account) -> None:
    if not await lock_administrators(session) - {account.id}:
        raise LastAdministrator("This is the only administrator; make somebody else one first.")
