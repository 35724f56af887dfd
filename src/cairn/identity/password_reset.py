"""A forgotten password: a link to an address of the account, good once and for an hour, and a new password by it.

Asking does the same work whoever asks for whatever name: it leaves a job, and only the job looks the name up.
"""

import hashlib
from datetime import timedelta

import msgspec
from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import ANONYMOUS, Actor, ActorKind
from cairn.base.settings import Settings
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.identity.email_addresses import notify
from cairn.identity.emails import EMAIL_LENGTH_MAX
from cairn.identity.events import PasswordChanged
from cairn.identity.models import Account, AccountEmail, AccountKind, LinkPurpose, OneTimeLink
from cairn.identity.one_time_links import LinkOwner, LinkUnusable, delete_links, find_link, make_link, use_link
from cairn.identity.passwords import Passwords, check_new_password
from cairn.identity.sessions import end_sessions
from cairn.jobs.queue import enqueue
from cairn.mail.outbox import Outbox

RESET_KIND = "identity.reset_password"
RESET_PATH = "/password/reset"
LINK_LIFETIME = timedelta(hours=1)
LINKS_MAX = 5
"""Links of one account that may be alive: nobody's mailbox is filled by asking for them."""


class ResetWanted(msgspec.Struct, frozen=True):
    """The job's payload: the name or address as it was typed. It says nothing of who exists."""

    name: str


async def request_reset(session: AsyncSession, name: str) -> None:
    """Have a link sent to whoever this name or address belongs to, if anybody; asking twice sends one."""
    await authorize(session, ANONYMOUS, Action.SITE_SIGN_IN, SITE)
    name = "".join(filter(str.isprintable, name.strip().lower()))[:EMAIL_LENGTH_MAX]
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    await enqueue(session, RESET_KIND, ResetWanted(name), unique_key=f"{RESET_KIND}:{digest}")


async def send_reset(session: AsyncSession, outbox: Outbox, settings: Settings, name: str) -> None:
    """Send the link if the name is a person's, or the address one that they proved or get their mail at."""
    found = await _find(session, name)
    if found is None:
        return
    account, email = found
    alive = await session.scalar(
        # ix_one_time_link_account_id
        select(func.count()).where(
            OneTimeLink.account_id == account.id,
            OneTimeLink.purpose == LinkPurpose.RESET_PASSWORD,
            OneTimeLink.expires_at > now(),
        )
    )
    if (alive or 0) >= LINKS_MAX:
        return
    secret = await make_link(
        session,
        LinkPurpose.RESET_PASSWORD,
        lifetime=LINK_LIFETIME,
        owner=LinkOwner(account.id, email.email_key),
    )
    link = f"{settings.origin}{RESET_PATH}?secret={secret}"
    await outbox.post(session, "identity/mail/reset_password", to=email.email, login=account.login, link=link)


async def reset_password(
    database: Database, passwords: Passwords, outbox: Outbox, secret: str, new_password: str
) -> Actor:
    """Use a link: the account has another password, and whoever was signed in to it is not any more.

    The address is proved by it, too. Every other link for the account's password stops working.
    Errors: LinkUnusable; PasswordRefused (the link stays usable).
    """
    async with database.read() as session:
        owner = await find_link(session, LinkPurpose.RESET_PASSWORD, secret)
        account = await session.get_one(Account, owner.account_id)
        check_new_password(new_password, login=account.login, email=owner.email)
    password_hash = await passwords.hash(new_password)
    async with database.write() as session:
        await authorize(session, ANONYMOUS, Action.SITE_SIGN_IN, SITE)
        await use_link(session, LinkPurpose.RESET_PASSWORD, secret)
        account = await session.get_one(Account, owner.account_id, with_for_update=True)
        if account.suspended_at is not None:
            raise LinkUnusable("This account is suspended.")
        moment = await database_now(session)
        account.password_hash, account.updated_at = password_hash, moment
        email = await session.scalar(
            select(AccountEmail).where(AccountEmail.email_key == owner.email, AccountEmail.account_id == account.id)
        )
        if email is None:
            raise LinkUnusable("The address this link went to is no longer the account's.")
        email.verified_at = email.verified_at or moment
        await end_sessions(session, account.id)
        await delete_links(session, account.id, purpose=LinkPurpose.RESET_PASSWORD)
        actor = Actor(ActorKind.USER, account.id, account.login, is_site_admin=account.is_site_admin)
        emit(session, PasswordChanged(account_id=account.id))
        record(session, actor, "account.reset_password", account.login, account_id=account.id)
        await notify(session, outbox, account, "Your password was changed by a link in a mail")
        return actor


async def _find(session: AsyncSession, name: str) -> tuple[Account, AccountEmail] | None:
    is_primary = AccountEmail.is_primary.is_(True)
    if "@" in name:
        # An address that was only claimed must not open the account to whoever reads its mail.
        is_theirs = and_(AccountEmail.email_key == name, or_(is_primary, AccountEmail.verified_at.is_not(None)))
    else:
        is_theirs = and_(Account.login_key == name, is_primary)
    row = (
        await session.execute(
            select(Account, AccountEmail)
            .join(AccountEmail, AccountEmail.account_id == Account.id)
            .where(
                is_theirs,
                Account.kind == AccountKind.USER,
                Account.suspended_at.is_(None),
                Account.deleted_at.is_(None),
            )
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])
