"""Accounts and actors for tests, as rows: quick, without the rules that signing up applies."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor, ActorKind, TokenLimits
from cairn.identity.models import Account, AccountEmail

LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
_numbers = itertools.count(1)


async def make_account(
    session: AsyncSession,
    login: str | None = None,
    *,
    is_site_admin: bool = False,
    suspended_at: datetime | None = None,
    password_hash: str | None = None,
) -> Account:
    """Return a new account with one address; without a name it gets one of its own."""
    login = login or f"person{next(_numbers)}"
    account = Account(
        login=login,
        login_key=login.lower(),
        password_hash=password_hash,
        is_site_admin=is_site_admin,
        suspended_at=suspended_at,
        created_at=LONG_AGO,
        updated_at=LONG_AGO,
    )
    session.add(account)
    await session.flush()
    email = f"{login}@example.test"
    session.add(AccountEmail(account_id=account.id, email=email, email_key=email.lower(), is_primary=True))
    await session.flush()
    return account


async def verify_address(session: AsyncSession, account: Account) -> None:
    """The account's address is verified: commits with it are the account's."""
    await session.execute(
        update(AccountEmail).where(AccountEmail.account_id == account.id).values(verified_at=LONG_AGO)
    )


def actor_of(account: Account) -> Actor:
    """Return the account at the keyboard."""
    return Actor(
        ActorKind.USER,
        account_id=account.id,
        login=account.login,
        is_site_admin=account.is_site_admin,
        is_suspended=account.suspended_at is not None,
    )


def with_token(actor: Actor, *scopes: str, repository_ids: frozenset[int] | None = None) -> Actor:
    """Return the actor as a token with these scopes leaves it."""
    return replace(actor, limits=TokenLimits(frozenset(scopes), repository_ids))
