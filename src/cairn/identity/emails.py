"""E-mail addresses: only what cannot be one is refused; whether it works, a mail tells."""

import re

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import FieldProblem, Invalid
from cairn.identity.models import AccountEmail

EMAIL_LENGTH_MAX = 254
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,189}")


class EmailInvalid(Invalid):
    """The text is no e-mail address."""


def check_email(email: str) -> str:
    """Return the address without blanks around it; EmailInvalid if it cannot be one (then nothing was stored)."""
    email = email.strip()
    if len(email.lower()) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email) or any(map(_misleads, email)):
        message = f"{email[:60]!r} is not an e-mail address."
        raise EmailInvalid(message, FieldProblem("email", "invalid", message, "User"))
    return email


def _misleads(letter: str) -> bool:
    """Tell whether a letter is no letter of its own: another one in lower case (a Kelvin sign), or half of a pair."""
    return (not letter.isascii() and letter.lower().isascii()) or "\ud800" <= letter <= "\udfff"


async def release_unproven(session: AsyncSession, email: str) -> None:
    """Take an address from an account that has not proved it and does not live by it, so that another may.

    Otherwise anybody could keep people from their own addresses by adding them first. Nothing is taken that signs an
    account in or gets its mail: a verified or primary one.
    """
    # uq_account_email_email_key
    await session.execute(
        delete(AccountEmail).where(
            AccountEmail.email_key == email.lower(),
            AccountEmail.verified_at.is_(None),
            AccountEmail.is_primary.is_(False),
        )
    )


def noreply_address(host: str, account_id: int, login: str) -> str:
    """Return the address that stands in commits for somebody who keeps theirs private; the number is what counts."""
    return f"{account_id}+{login}@{_noreply_domain(host)}"


def account_of_noreply(host: str, email: str) -> int | None:
    """Return the number of the account whose noreply address this is; None for any other address."""
    local, _, domain = email.lower().rpartition("@")
    match = re.fullmatch(r"([0-9]{1,18})\+[a-z0-9-]{1,39}", local)
    return int(match[1]) if match and domain == _noreply_domain(host) else None


def _noreply_domain(host: str) -> str:
    return f"users.noreply.{host.strip('[]').replace(':', '-').lower()}"
