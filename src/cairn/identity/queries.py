"""Reading accounts: one statement each, on an index of unique values."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE, AccountScope
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.identity.models import Account, AccountEmail, AccountKind, AccountRename
from cairn.identity.names import is_login


@dataclass(frozen=True, slots=True)
class RepositoryCounts:
    """How many repositories an account owns; ``disk_kib`` is what they take."""

    public: int
    private: int
    disk_kib: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What everybody may see of an account."""

    id: int
    login: str
    kind: AccountKind
    name: str
    bio: str
    is_site_admin: bool
    created_at: datetime
    updated_at: datetime
    website: str = ""
    company: str = ""
    location: str = ""
    pronouns: str = ""
    public_email: str = ""


@dataclass(frozen=True, slots=True)
class Email:
    """One address of an account, as its owner sees it."""

    email: str
    is_primary: bool
    is_verified: bool
    is_public: bool = False


async def find_account(session: AsyncSession, login: str) -> Account | None:
    """Return the account of an owner name, however it is written."""
    if not is_login(login):
        return None
    # uq_account_login_key
    found = select(Account).where(Account.login_key == login.lower(), Account.deleted_at.is_(None))
    return (await session.scalars(found)).one_or_none()


async def hold_account(session: AsyncSession, account_id: int) -> Account:
    """Return an account that nobody deletes until the transaction ends: what is given to it now has an owner.

    Deleting takes the row's lock, and looks at what the account has after that. Errors: NotFound if it is gone.
    """
    # Primary key of account.
    held = select(Account).where(Account.id == account_id).with_for_update(read=True)
    account = (await session.scalars(held.execution_options(populate_existing=True))).one_or_none()
    if account is None or account.deleted_at is not None:
        raise NotFound("Not Found")
    return account


class AccountMoved(NotFound):
    """The account has another name by now."""

    def __init__(self, account_id: int, login: str) -> None:
        super().__init__(f"This account is called {login!r} now.")
        self.account_id = account_id
        self.login = login


async def read_profile(session: AsyncSession, actor: Actor, login: str) -> Profile:
    """Return an account's public profile; AccountMoved for a name it gave up, NotFound if nobody has it."""
    account = await find_account(session, login)
    if account is None:
        raise await _moved(session, login)
    await authorize(session, actor, Action.ACCOUNT_READ, AccountScope(account.id))
    return profile_of(account)


async def read_profile_by_id(session: AsyncSession, actor: Actor, account_id: int) -> Profile:
    """Return an account's public profile; NotFound if there is none, or none any more."""
    account = await session.get(Account, account_id)
    if account is None or account.deleted_at is not None:
        raise NotFound("Not Found")
    await authorize(session, actor, Action.ACCOUNT_READ, AccountScope(account.id))
    return profile_of(account)


async def list_emails(session: AsyncSession, actor: Actor, account_id: int) -> list[Email]:
    """Return an account's addresses, the primary one first."""
    await authorize(session, actor, Action.ACCOUNT_READ_EMAILS, AccountScope(account_id))
    # ix_account_email_account_id
    rows = await session.scalars(
        select(AccountEmail)
        .where(AccountEmail.account_id == account_id)
        .order_by(AccountEmail.is_primary.desc(), AccountEmail.id)
    )
    public = await session.scalar(select(Account.public_email).where(Account.id == account_id))
    return [email_of(row, public=public or "") for row in rows]


def email_of(row: AccountEmail, *, public: str = "") -> Email:
    """Return an address as its owner sees it; ``public`` is the one everybody sees."""
    return Email(row.email, row.is_primary, row.verified_at is not None, row.email_key == public.lower())


async def primary_email(session: AsyncSession, account_id: int) -> str | None:
    """Return the address an account's mail goes to. For our own code: it asks nobody."""
    return (
        await session.scalars(
            select(AccountEmail.email).where(AccountEmail.account_id == account_id, AccountEmail.is_primary.is_(True))
        )
    ).first()


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as an administrator sees it."""

    id: int
    login: str
    email: str
    is_site_admin: bool
    suspended_at: datetime | None
    created_at: datetime


async def list_accounts(
    session: AsyncSession, actor: Actor, *, after_id: int = 0, limit: int = 100
) -> list[AccountRow]:
    """Return accounts in order of their ids, from the one after ``after_id``; at most ``limit``."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    rows = await session.execute(
        select(Account, AccountEmail.email)
        .outerjoin(AccountEmail, (AccountEmail.account_id == Account.id) & AccountEmail.is_primary.is_(True))
        .where(Account.id > after_id, Account.deleted_at.is_(None))
        .order_by(Account.id)
        .limit(limit)
    )
    return [
        AccountRow(one.id, one.login, email or "", one.is_site_admin, one.suspended_at, one.created_at)
        for one, email in rows
    ]


async def _moved(session: AsyncSession, login: str) -> NotFound:
    """Return the error for a name nobody has: where its last owner is, if they are still here."""
    if not is_login(login):
        return NotFound("Not Found")
    rows = await session.execute(
        # Primary keys of account_rename and account.
        select(Account.id, Account.login)
        .join(AccountRename, AccountRename.account_id == Account.id)
        .where(AccountRename.login_key == login.lower(), Account.deleted_at.is_(None))
    )
    found = rows.one_or_none()
    return NotFound("Not Found") if found is None else AccountMoved(*found)


def profile_of(account: Account) -> Profile:
    """Return the public part of an account."""
    return Profile(
        id=account.id,
        login=account.login,
        kind=account.kind,
        name=account.name,
        bio=account.bio,
        website=account.website,
        company=account.company,
        location=account.location,
        pronouns=account.pronouns,
        public_email=account.public_email,
        is_site_admin=account.is_site_admin,
        created_at=account.created_at,
        updated_at=account.updated_at,
    )
