"""Names that are free and yet nobody's to take: given up lately, or of an account that was deleted.

Clone addresses carry names. Whoever takes a name over gets the next push and pull of everybody who still has the old
address; so a name stays with who gave it up for ``PROTECTED``, and a deleted account's stays with nobody. Only the hash
is kept: a deleted account leaves no name behind.
"""

import hashlib
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import FieldProblem
from cairn.db.clock import database_now, now
from cairn.identity.models import ReservedLogin
from cairn.identity.names import NameTaken

PROTECTED = timedelta(days=90)


async def reserve_login(session: AsyncSession, login: str, *, account_id: int | None) -> None:
    """Keep a name that was given up: for its account a while, for ever without one."""
    until = None if account_id is None else await database_now(session, plus=PROTECTED)
    await session.merge(ReservedLogin(login_sha256=_hash(login), account_id=account_id, until=until))
    await session.flush()


async def disown_reserved(session: AsyncSession, account_id: int) -> None:
    """Let nobody take back the names an account gave up, until their time is over."""
    await session.execute(update(ReservedLogin).where(ReservedLogin.account_id == account_id).values(account_id=None))


async def require_unreserved(session: AsyncSession, login: str, *, account_id: int | None = None) -> None:
    """Return if the account (or a new one) may take this name as far as reservations go; NameTaken otherwise."""
    held = await session.scalar(
        # Primary key of reserved_login.
        select(ReservedLogin.login_sha256).where(
            ReservedLogin.login_sha256 == _hash(login),
            or_(ReservedLogin.until.is_(None), ReservedLogin.until > now()),
            or_(ReservedLogin.account_id.is_(None), ReservedLogin.account_id != (account_id or 0)),
        )
    )
    if held is not None:
        message = f"The name {login!r} is taken; choose another one."
        raise NameTaken(message, FieldProblem("login", "already_exists", message, "User"))


def _hash(login: str) -> str:
    return hashlib.sha256(f"login {login.lower()}".encode()).hexdigest()
