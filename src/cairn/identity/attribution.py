"""Whose commits are whose: the accounts behind the addresses that commits carry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.identity.emails import EMAIL_LENGTH_MAX, account_of_noreply, noreply_address
from cairn.identity.models import Account, AccountEmail, AccountKind

ADDRESSES_MAX = 1000
"""Of more addresses on one page, the rest stays without an account."""


@dataclass(frozen=True, slots=True)
class Author:
    """An account as the author of something."""

    account_id: int
    login: str
    kind: AccountKind
    is_site_admin: bool


class Authors:
    """The accounts behind some addresses."""

    def __init__(self, found: Mapping[str, Author] | None = None) -> None:
        self._found = found or {}

    def of(self, email: str) -> Author | None:
        """Return whose verified (or noreply) address this is; None for nobody's."""
        return self._found.get(email.lower())


NO_AUTHORS = Authors()


async def find_authors(session: AsyncSession, host: str, emails: Iterable[str]) -> Authors:
    """Return the accounts behind addresses of commits: one statement for a whole page, none for no address.

    Only a verified address counts: anybody can write anything into a commit, and claim any address.
    """
    keys = {email.lower() for email in emails if 0 < len(email) <= EMAIL_LENGTH_MAX and email.isprintable()}
    keys = set(sorted(keys)[:ADDRESSES_MAX])
    by_number = {number: key for key in keys if (number := account_of_noreply(host, key)) is not None}
    if not keys:
        return NO_AUTHORS
    # uq_account_email_email_key, primary key of account
    rows = await session.execute(
        select(Account.id, Account.login, Account.kind, Account.is_site_admin, AccountEmail.email_key)
        .outerjoin(
            AccountEmail,
            (AccountEmail.account_id == Account.id)
            & AccountEmail.email_key.in_(keys)
            & AccountEmail.verified_at.is_not(None),
        )
        .where(
            or_(
                Account.id.in_(by_number),
                Account.id.in_(
                    select(AccountEmail.account_id).where(
                        AccountEmail.email_key.in_(keys), AccountEmail.verified_at.is_not(None)
                    )
                ),
            ),
            Account.deleted_at.is_(None),
        )
    )
    found: dict[str, Author] = {}
    for account_id, login, kind, is_site_admin, key in rows:
        author = Author(account_id, login, kind, is_site_admin)
        if key is not None:
            found[key] = author
        if account_id in by_number:
            found[by_number[account_id]] = author
    return Authors(found)


async def addresses_of(session: AsyncSession, host: str, login: str) -> list[str]:
    """Return the addresses by which commits are an account's: verified ones and its noreply address; none for nobody.

    For choosing commits, never for showing: an address may be private.
    """
    # uq_account_login_key, ix_account_email_account_id
    rows = await session.execute(
        select(Account.id, Account.login, AccountEmail.email)
        .outerjoin(AccountEmail, (AccountEmail.account_id == Account.id) & AccountEmail.verified_at.is_not(None))
        .where(Account.login_key == login.lower(), Account.deleted_at.is_(None))
    )
    found: dict[str, None] = {}
    for account_id, exact_login, email in rows:
        found |= dict.fromkeys(filter(None, (noreply_address(host, account_id, exact_login), email)))
    return list(found)
