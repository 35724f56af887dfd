"""Who stands in commits that Cairn makes for somebody: their name, and an address that is proved to be theirs."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Forbidden, Invalid
from cairn.git.types import Signature
from cairn.identity.emails import noreply_address
from cairn.identity.models import Account, AccountEmail


class NoAuthor(Forbidden):
    """A deploy key, or Cairn itself, has no name that could stand in a commit."""


class EmailNotYours(Invalid):
    """Somebody chose an address for their commits that is not a verified one of their account."""


async def commit_author(
    session: AsyncSession, host: str, actor: Actor, *, at: datetime, email: str | None = None
) -> Signature:
    """Return who stands in a commit made for the actor, in whole seconds UTC.

    ``email`` is the address they chose, None for the one they set. Errors: NoAuthor, EmailNotYours.
    """
    if actor.account_id is None:
        raise NoAuthor("Only people commit here: a deploy key has no name. Push with git instead.")
    account = await session.get_one(Account, actor.account_id)
    if email is None:
        email = await _usual_email(session, host, account)
    elif email not in await commit_emails(session, host, actor):
        message = f"{email!r} is not a verified address of your account; choose one that is."
        raise EmailNotYours(message, FieldProblem("email", "invalid", message))
    # Whole seconds: a commit keeps no more.
    return Signature(account.name or account.login, email, at.astimezone(UTC).replace(microsecond=0))


async def commit_emails(session: AsyncSession, host: str, actor: Actor) -> list[str]:
    """Return the addresses that the actor may choose from for a commit, the usual one first; none for who is nobody.

    Who keeps their address private has the noreply address only.
    """
    if actor.account_id is None:
        return []
    account = await session.get_one(Account, actor.account_id)
    usual = await _usual_email(session, host, account)
    found = [usual]
    if not account.keeps_email_private:
        # ix_account_email_account_id
        found += await session.scalars(
            select(AccountEmail.email)
            .where(AccountEmail.account_id == account.id, AccountEmail.verified_at.is_not(None))
            .order_by(AccountEmail.is_primary.desc(), AccountEmail.id)
        )
    return list(dict.fromkeys([*found, noreply_address(host, account.id, account.login)]))


async def _usual_email(session: AsyncSession, host: str, account: Account) -> str:
    noreply = noreply_address(host, account.id, account.login)
    if account.keeps_email_private:
        return noreply
    # ix_account_email_account_id
    found = await session.scalar(
        select(AccountEmail.email).where(
            AccountEmail.account_id == account.id,
            AccountEmail.is_primary.is_(True),
            AccountEmail.verified_at.is_not(None),
        )
    )
    return found or noreply
