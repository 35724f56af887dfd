"""Making and changing accounts: signing up, invitations, profile, password, suspension."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE, AccountScope
from cairn.audit.record import record
from cairn.base.actor import ANONYMOUS, Actor, ActorKind
from cairn.base.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.identity.emails import check_email, release_unproven
from cairn.identity.events import AccountCreated, AccountSuspensionChanged, PasswordChanged
from cairn.identity.models import Account, AccountEmail, AccountRename, LinkPurpose
from cairn.identity.names import NameTaken, check_new_login
from cairn.identity.one_time_links import delete_links, find_link, link_works, make_link, use_link
from cairn.identity.passwords import Passwords, check_new_password
from cairn.identity.queries import find_account
from cairn.identity.registration import read_registration
from cairn.identity.reserved_logins import require_unreserved
from cairn.identity.sessions import end_sessions

INVITATION_LIFETIME = timedelta(days=7)
INVITATION_PATH = "/join?invitation="
REASON_LENGTH_MAX = 500


async def sign_up(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    *,
    login: str,
    email: str,
    password: str,
    invitation: str = "",
) -> Actor:
    """Create an account for a stranger and return them as an actor; the session comes from ``sign_in``.

    An invitation is an administrator's, or the link of a mail that invites an address into an organization: the
    account is then of that address and has proved it; the place itself is accepted later.
    Errors: RegistrationClosed; LinkUnusable for a wrong invitation; LoginInvalid, EmailInvalid, PasswordRefused,
    NameTaken; Invalid for another address. An invitation is used up only by a sign-up that works.
    """
    async with database.read() as session:
        policy = await read_registration(session, settings)
        is_mailed = await link_works(session, LinkPurpose.ORGANIZATION_INVITATION, invitation)
    policy.require(invitation=invitation)
    email = _checked(login, email, password)
    policy.require(invitation=invitation, email=email, by_organization=is_mailed)
    password_hash = await passwords.hash(password)
    async with database.write() as session:
        await authorize(session, ANONYMOUS, Action.SITE_SIGN_IN, SITE)
        if is_mailed:
            await _use_mailed(session, invitation, email)
        elif policy.mode == "invite":
            await use_link(session, LinkPurpose.INVITATION, invitation)
        account = await _insert_account(
            session, login=login, email=email, password_hash=password_hash, is_email_proved=is_mailed
        )
        return await _created(session, account, by=None)


async def _use_mailed(session: AsyncSession, secret: str, email: str) -> None:
    """Use up the link of a mail; only its reader has it, so an account of that address needs no further proof."""
    link = await find_link(session, LinkPurpose.ORGANIZATION_INVITATION, secret)
    if link.email != email.lower():
        message = "This invitation is for another address; sign up with the one it was sent to."
        raise Invalid(message, FieldProblem("email", "invalid", message, "User"))
    await use_link(session, LinkPurpose.ORGANIZATION_INVITATION, secret)


async def invite(session: AsyncSession, actor: Actor) -> str:
    """Return the secret of a new invitation: one sign-up within 7 days."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    secret = await make_link(session, LinkPurpose.INVITATION, lifetime=INVITATION_LIFETIME)
    record(session, actor, "account.invite", "invitation")
    return secret


async def create_account(
    database: Database,
    passwords: Passwords,
    actor: Actor,
    *,
    login: str,
    email: str,
    password: str,
    is_site_admin: bool = False,
) -> Actor:
    """Create an account on an administrator's word and return it as an actor.

    Errors: NotFound or Forbidden without the right; LoginInvalid, EmailInvalid, PasswordRefused, NameTaken.
    """
    email = _checked(login, email, password)
    password_hash = await passwords.hash(password)
    async with database.write() as session:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        account = await _insert_account(
            session, login=login, email=email, password_hash=password_hash, is_site_admin=is_site_admin
        )
        return await _created(session, account, by=actor)


async def create_first_administrator(
    database: Database, passwords: Passwords, secret: str, *, login: str, email: str, password: str
) -> Actor:
    """Use the link of the first run: create the first administrator and return them as an actor.

    Of two uses at once one wins; the link is dead too once there is an administrator by other means.
    Errors: LinkUnusable; LoginInvalid, EmailInvalid, PasswordRefused, NameTaken (the link stays usable).
    """
    email = _checked(login, email, password)
    password_hash = await passwords.hash(password)
    async with database.write() as session:
        await authorize(session, ANONYMOUS, Action.SITE_SIGN_IN, SITE)
        await use_link(session, LinkPurpose.FIRST_ADMINISTRATOR, secret)
        if await administrator_exists(session):
            raise Conflict("This installation already has an administrator; sign in, or ask them.")
        account = await _insert_account(
            session, login=login, email=email, password_hash=password_hash, is_site_admin=True
        )
        return await _created(session, account, by=None)


async def administrator_exists(session: AsyncSession) -> bool:
    """Tell whether somebody administers this installation."""
    # Runs while there is none, at start and on the set-up page: a scan of the accounts until the first administrator.
    found = await session.scalars(select(Account.id).where(Account.is_site_admin.is_(True)).limit(1))
    return found.first() is not None


async def change_password(
    database: Database, passwords: Passwords, actor: Actor, *, current: str, new: str, keep_session_id: str = ""
) -> None:
    """Give the actor's own account another password and end its sessions but ``keep_session_id``.

    Errors: Forbidden if ``current`` is wrong or the actor is a token; PasswordRefused.
    """
    if actor.account_id is None:
        raise NotFound("Not Found")
    async with database.read() as session:
        await authorize(session, actor, Action.ACCOUNT_EDIT_SECURITY, AccountScope(actor.account_id))
        account = await session.get_one(Account, actor.account_id)
    if not await passwords.verify(account.password_hash, current):
        raise Forbidden("The current password is wrong.")
    check_new_password(new, login=account.login)
    await _store_password(database, passwords, actor, account.id, password=new, keep_session_id=keep_session_id)


async def set_password(database: Database, passwords: Passwords, actor: Actor, login: str, password: str) -> None:
    """Give somebody another password on an administrator's word and end all their sessions."""
    async with database.read() as session:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        account = await _existing(session, login)
    check_new_password(password, login=account.login)
    await _store_password(database, passwords, actor, account.id, password=password)


async def _store_password(
    database: Database, passwords: Passwords, actor: Actor, account_id: int, *, password: str, keep_session_id: str = ""
) -> None:
    password_hash = await passwords.hash(password)
    async with database.write() as session:
        await authorize(session, actor, Action.ACCOUNT_EDIT_SECURITY, AccountScope(account_id))
        # Locked as signing in locks it: who proved the old password a moment ago opens no session after this.
        account = await session.get_one(Account, account_id, with_for_update=True)
        account.password_hash = password_hash
        account.updated_at = await database_now(session)
        await end_sessions(session, account_id, keep_session_id=keep_session_id)
        await delete_links(session, account_id, purpose=LinkPurpose.RESET_PASSWORD)
        emit(session, PasswordChanged(account_id=account_id))
        record(session, actor, "account.change_password", account.login, account_id=account_id)


async def suspend(session: AsyncSession, actor: Actor, login: str, *, reason: str = "") -> None:
    """Shut an account out: its sessions end, its tokens and keys stop working until ``unsuspend``.

    ``reason`` stands in the audit log. Errors: NotFound; Forbidden for one's own account; Invalid for a long reason.
    """
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    _check_reason(reason)
    account = await _existing(session, login)
    if account.id == actor.account_id:
        raise Forbidden("You cannot suspend your own account.")
    # Locked as signing in locks it: no session is opened after these ended.
    await session.refresh(account, with_for_update=True)
    await end_sessions(session, account.id)
    if account.suspended_at is None:
        account.suspended_at = await database_now(session)
        _suspension_changed(session, actor, account, reason=reason)


async def unsuspend(session: AsyncSession, actor: Actor, login: str, *, reason: str = "") -> None:
    """Let a suspended account in again. Errors: NotFound; Invalid for a long reason."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    _check_reason(reason)
    account = await _existing(session, login)
    if account.suspended_at is not None:
        account.suspended_at = None
        _suspension_changed(session, actor, account, reason=reason)


def _check_reason(reason: str) -> None:
    if len(reason) > REASON_LENGTH_MAX:
        message = f"Write at most {REASON_LENGTH_MAX} characters."
        raise Invalid("The reason is too long.", FieldProblem("reason", "invalid", message))


def _suspension_changed(session: AsyncSession, actor: Actor, account: Account, *, reason: str) -> None:
    is_suspended = account.suspended_at is not None
    emit(session, AccountSuspensionChanged(account_id=account.id, login=account.login, is_suspended=is_suspended))
    action = "account.suspend" if is_suspended else "account.unsuspend"
    details = {"reason": reason} if reason else {}
    record(session, actor, action, account.login, account_id=account.id, details=details)


async def _existing(session: AsyncSession, login: str) -> Account:
    account = await find_account(session, login)
    if account is None:
        raise NotFound(f"There is no account {login[:60]!r}.")
    return account


def _checked(login: str, email: str, password: str) -> str:
    """Return the address without blanks around it; what is wrong with all three is said at once."""
    email = email.strip()
    refusals: list[Invalid] = []
    for check in (
        lambda: check_new_login(login),
        lambda: check_email(email),
        lambda: check_new_password(password, login=login, email=email),
    ):
        try:
            check()
        except Invalid as error:
            refusals.append(error)
    if len(refusals) > 1:
        problems = [problem for error in refusals for problem in error.problems]
        raise Invalid(" ".join(error.message for error in refusals), *problems)
    if refusals:
        raise refusals[0]
    return email


async def _insert_account(
    session: AsyncSession,
    *,
    login: str,
    email: str,
    password_hash: str,
    is_site_admin: bool = False,
    is_email_proved: bool = False,
) -> Account:
    moment = await database_now(session)
    account = Account(
        login=login,
        login_key=login.lower(),
        password_hash=password_hash,
        is_site_admin=is_site_admin,
        created_at=moment,
        updated_at=moment,
    )
    if await find_account(session, login) is not None:
        raise _taken("login", f"The name {login!r} is taken; choose another one.")
    await require_unreserved(session, login)
    await release_unproven(session, email)
    try:
        session.add(account)
        await session.flush()
    except IntegrityError:
        # Two sign-ups with one name at the same moment: the unique key let the other one win.
        raise _taken("login", f"The name {login!r} is taken; choose another one.") from None
    try:
        address = AccountEmail(account_id=account.id, email=email, email_key=email.lower(), is_primary=True)
        address.verified_at = moment if is_email_proved else None
        session.add(address)
        await session.flush()
    except IntegrityError:
        raise _taken("email", "This e-mail address belongs to another account; sign in with it instead.") from None
    await session.execute(delete(AccountRename).where(AccountRename.login_key == account.login_key))
    return account


async def _created(session: AsyncSession, account: Account, *, by: Actor | None) -> Actor:
    created = Actor(ActorKind.USER, account.id, account.login, is_site_admin=account.is_site_admin)
    emit(session, AccountCreated(account_id=account.id, login=account.login))
    details = {"site_admin": "yes"} if account.is_site_admin else {}
    record(session, by or created, "account.create", account.login, account_id=account.id, details=details)
    await session.flush()
    return created


def _taken(field: str, message: str) -> NameTaken:
    return NameTaken(message, FieldProblem(field, "already_exists", message, "User"))
