"""An account's addresses: adding, proving, removing, which one is primary, which one others see."""

from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE, AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFound
from cairn.base.origin import current_origin
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.emails import check_email, release_unproven
from cairn.identity.events import EmailAdded, EmailRemoved, EmailVerified, PrimaryEmailChanged
from cairn.identity.models import Account, AccountEmail, LinkPurpose
from cairn.identity.one_time_links import LinkOwner, LinkUnusable, find_link, make_link, use_link
from cairn.identity.queries import Email, email_of
from cairn.mail.outbox import Outbox

EMAILS_MAX = 20
VERIFICATION_LIFETIME = timedelta(days=3)
VERIFY_PATH = "/-/emails/verify"


async def add_email(
    session: AsyncSession, outbox: Outbox, settings: Settings, actor: Actor, account_id: int, email: str
) -> Email:
    """Add an address, not proved yet, and send it the link that proves it; the primary address hears of it.

    Errors: EmailInvalid; Invalid if it is somebody's already or there are 20.
    """
    email = check_email(email)
    account = await _lock(session, actor, account_id)
    await release_unproven(session, email)
    count = await session.scalar(select(func.count()).where(AccountEmail.account_id == account_id)) or 0
    if count >= EMAILS_MAX:
        raise _refused(f"An account has at most {EMAILS_MAX} addresses; remove one first.", "unprocessable")
    # uq_account_email_email_key
    if await session.scalar(select(AccountEmail.id).where(AccountEmail.email_key == email.lower())) is not None:
        raise _refused("This address belongs to an account already.", "already_exists")
    row = AccountEmail(account_id=account_id, email=email, email_key=email.lower(), is_primary=False)
    try:
        session.add(row)
        await session.flush()
    except IntegrityError:
        raise _refused("This address belongs to an account already.", "already_exists") from None
    emit(session, EmailAdded(account_id=account_id, email_id=row.id))
    record(session, actor, "email.add", email, account_id=account_id)
    await _send_link(session, outbox, settings, account, row)
    await notify(session, outbox, account, "The address " + email + " was added to your account")
    return email_of(row)


async def send_verification(
    session: AsyncSession, outbox: Outbox, settings: Settings, actor: Actor, account_id: int, email: str
) -> None:
    """Send the link that proves an address once more; older ones stop working. Errors: NotFound; Conflict if proved."""
    account = await _lock(session, actor, account_id)
    row = await _own(session, account_id, email)
    if row.verified_at is not None:
        raise Conflict("This address is verified already.")
    await _send_link(session, outbox, settings, account, row)


async def verify_email(session: AsyncSession, actor: Actor, secret: str) -> str:
    """Use a link: the address is proved to belong to the actor's account. Return it.

    The link works for the account that asked for it and no other: else whoever sends somebody a link could have them
    prove a stranger's claim. Never with a token: a new password can be had by a verified address, so a token that may
    add addresses would open the whole account. Errors: LinkUnusable; Forbidden.
    """
    await authorize(session, actor, Action.SITE_SIGN_IN, SITE)
    owner = await find_link(session, LinkPurpose.VERIFY_EMAIL, secret)
    if owner.account_id is None or owner.account_id != actor.account_id:
        raise LinkUnusable("This link is for another account.")
    await authorize(session, actor, Action.ACCOUNT_EDIT_EMAILS, AccountScope(owner.account_id))
    await use_link(session, LinkPurpose.VERIFY_EMAIL, secret)
    row = await _own(session, owner.account_id, owner.email)
    if row.verified_at is None:
        row.verified_at = await database_now(session)
        emit(session, EmailVerified(account_id=owner.account_id, email_id=row.id))
        record(session, actor, "email.verify", row.email, account_id=owner.account_id)
    return row.email


async def remove_email(session: AsyncSession, outbox: Outbox, actor: Actor, account_id: int, email: str) -> None:
    """Remove an address. Errors: NotFound; Conflict for the primary one."""
    account = await _lock(session, actor, account_id)
    row = await _own(session, account_id, email)
    if row.is_primary:
        raise Conflict("This is the primary address; make another one primary first.")
    if account.public_email.lower() == row.email_key:
        account.public_email = ""
    emit(session, EmailRemoved(account_id=account_id, email_id=row.id))
    record(session, actor, "email.remove", row.email, account_id=account_id)
    await notify(session, outbox, account, "The address " + row.email + " was removed from your account")
    await session.delete(row)
    await session.flush()


async def make_primary(session: AsyncSession, outbox: Outbox, actor: Actor, account_id: int, email: str) -> None:
    """Send the account's mail to another of its addresses. Errors: NotFound; Conflict if it is not verified."""
    account = await _lock(session, actor, account_id)
    row = await _own(session, account_id, email)
    if row.is_primary:
        return
    if row.verified_at is None:
        raise Conflict("Verify this address first: your mail would go there.")
    # The address that loses its place hears of it.
    await notify(session, outbox, account, "Your primary address was changed to " + row.email)
    old = await session.scalar(
        select(AccountEmail.email).where(AccountEmail.account_id == account_id, AccountEmail.is_primary.is_(True))
    )
    await session.execute(
        update(AccountEmail).where(AccountEmail.account_id == account_id).values(is_primary=AccountEmail.id == row.id)
    )
    emit(session, PrimaryEmailChanged(account_id=account_id, email_id=row.id))
    changes = {"primary": (old or "", row.email)}
    record(session, actor, "email.make_primary", row.email, account_id=account_id, changes=changes)


async def set_email_privacy(
    session: AsyncSession,
    actor: Actor,
    account_id: int,
    *,
    keeps_private: bool | None = None,
    public: str | None = None,
) -> None:
    """Say whether commits made here carry the noreply address, and which verified address everybody sees (or "").

    Errors: NotFound for another's address; Conflict for one that is not verified.
    """
    account = await _lock(session, actor, account_id)
    before = (account.keeps_email_private, account.public_email)
    if keeps_private is not None:
        account.keeps_email_private = keeps_private
    if public is not None:
        account.public_email = await _provable(session, account_id, public) if public else ""
    after = (account.keeps_email_private, account.public_email)
    changes = {
        name: (str(old), str(new))
        for name, old, new in zip(("keeps_email_private", "public_email"), before, after, strict=True)
        if old != new
    }
    if changes:
        record(session, actor, "email.set_privacy", account.login, account_id=account_id, changes=changes)
    await session.flush()


async def show_email(session: AsyncSession, actor: Actor, account_id: int, email: str) -> None:
    """Show one of the account's verified addresses to everybody, or none for "". Errors: Invalid for any other."""
    try:
        await set_email_privacy(session, actor, account_id, public=email)
    except (NotFound, Conflict):
        raise _refused("email must be one of your verified addresses.", "invalid") from None


async def notify(session: AsyncSession, outbox: Outbox, account: Account, what: str) -> None:
    """Tell the account's primary address about a change of its security; nothing happens without one."""
    to = await session.scalar(
        select(AccountEmail.email).where(AccountEmail.account_id == account.id, AccountEmail.is_primary.is_(True))
    )
    if to is not None:
        address = current_origin().address
        await outbox.post(
            session, "identity/mail/security_notice", to=to, login=account.login, what=what, address=address
        )


async def _provable(session: AsyncSession, account_id: int, email: str) -> str:
    row = await _own(session, account_id, email)
    if row.verified_at is None:
        raise Conflict("Verify this address before you show it.")
    return row.email


async def _lock(session: AsyncSession, actor: Actor, account_id: int) -> Account:
    """Return the account, locked, for a change of its addresses; two changes at once come one after the other."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_EMAILS, AccountScope(account_id))
    return await session.get_one(Account, account_id, with_for_update=True, populate_existing=True)


async def _own(session: AsyncSession, account_id: int, email: str) -> AccountEmail:
    row = await session.scalar(
        # uq_account_email_email_key
        select(AccountEmail).where(
            AccountEmail.email_key == email.strip().lower()[:254], AccountEmail.account_id == account_id
        )
    )
    if row is None:
        raise NotFound("Not Found")
    return row


async def _send_link(
    session: AsyncSession, outbox: Outbox, settings: Settings, account: Account, row: AccountEmail
) -> None:
    secret = await make_link(
        session,
        LinkPurpose.VERIFY_EMAIL,
        lifetime=VERIFICATION_LIFETIME,
        owner=LinkOwner(account.id, row.email_key),
        voids_others=True,
    )
    link = f"{settings.origin}{VERIFY_PATH}?secret={secret}"
    await outbox.post(
        session, "identity/mail/verify_email", to=row.email, login=account.login, email=row.email, link=link
    )


def _refused(message: str, code: str) -> Invalid:
    return Invalid(message, FieldProblem("email", code, message, "UserEmail"))
