"""Another name for an account. Pages, the API and git redirect from the old one as long as nobody has it."""

from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, RateLimited
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import AccountRenamed
from cairn.identity.models import Account, AccountRename
from cairn.identity.names import NameTaken, check_new_login
from cairn.identity.queries import find_account
from cairn.identity.reserved_logins import require_unreserved, reserve_login

RENAMES_MAX = 3
PERIOD = timedelta(days=30)
"""An account changes its name at most so often in so long: each change takes a name away from everybody else."""


async def rename_account(session: AsyncSession, actor: Actor, account_id: int, login: str) -> Account:
    """Give a person's account another name. Errors: LoginInvalid; NameTaken; RateLimited after three in 30 days."""
    await authorize(session, actor, Action.ACCOUNT_DELETE, AccountScope(account_id))
    account = await session.get_one(Account, account_id, with_for_update=True, populate_existing=True)
    await change_login(session, actor, account, login)
    return account


async def change_login(session: AsyncSession, actor: Actor, account: Account, login: str) -> None:
    """Give a locked account another name, with redirects from the old one; the caller has authorized it.

    Writing the same name in other capitals is free. Errors as ``rename_account``.
    """
    check_new_login(login)
    old_login, old_key, new_key = account.login, account.login_key, login.lower()
    if login == old_login:
        return
    if new_key != old_key:
        await _count(session, account)
        await require_unreserved(session, login, account_id=account.id)
        if await find_account(session, login) is not None:
            raise _taken(login)
    account.login, account.login_key = login, new_key
    account.updated_at = await database_now(session)
    try:
        await session.flush()
    except IntegrityError:
        raise _taken(login) from None
    if new_key != old_key:
        await session.execute(delete(AccountRename).where(AccountRename.login_key.in_([old_key, new_key])))
        session.add(AccountRename(login_key=old_key, account_id=account.id))
        await reserve_login(session, old_key, account_id=account.id)
    emit(session, AccountRenamed(account_id=account.id, old_login=old_login, new_login=login))
    changes = {"login": (old_login, login)}
    record(session, actor, "account.rename", login, account_id=account.id, changes=changes)


async def _count(session: AsyncSession, account: Account) -> None:
    moment = await database_now(session)
    if account.renamed_at is None or account.renamed_at + PERIOD <= moment:
        account.renamed_at, account.rename_count = moment, 0
    if account.rename_count >= RENAMES_MAX:
        wait = account.renamed_at + PERIOD - moment
        raise RateLimited(
            f"A name changes at most {RENAMES_MAX} times in {PERIOD.days} days; try again in {wait.days + 1} days.",
            retry_after_seconds=max(1, int(wait.total_seconds())),
        )
    account.rename_count += 1


def _taken(login: str) -> NameTaken:
    message = f"The name {login!r} is taken; choose another one."
    return NameTaken(message, FieldProblem("login", "already_exists", message, "User"))
