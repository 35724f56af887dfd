"""Finding people and organizations by a part of their name. Every account has a public profile, so all are searched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.base.actor import Actor
from cairn.identity.models import Account, AccountKind

PER_PAGE_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSearch:
    """What to look for: every word, in one of the fields. ``kind`` None is both."""

    words: tuple[str, ...] = ()
    kind: AccountKind | None = None
    in_login: bool = True
    in_name: bool = True


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account that was found."""

    id: int
    login: str
    name: str
    kind: AccountKind
    is_site_admin: bool


@dataclass(frozen=True, slots=True)
class FoundAccounts:
    """Some accounts, and how many there are."""

    items: Sequence[FoundAccount]
    total: int


async def search_accounts(
    session: AsyncSession,
    actor: Actor,
    wanted: AccountSearch,
    *,
    by_joining: bool = False,
    descending: bool = False,
    page: int = 1,
    per_page: int = 30,
) -> FoundAccounts:
    """Return one page of the accounts that match: who is called exactly so first, then by name, or by when they joined.

    Deleted accounts are nobody. Errors: Forbidden for who may not visit the site.
    """
    await authorize(session, actor, Action.SITE_VISIT, SITE)
    conditions = [Account.deleted_at.is_(None), *(_holds(wanted, word) for word in wanted.words)]
    if wanted.kind is not None:
        conditions.append(Account.kind == wanted.kind)
    order: list[Any] = [Account.created_at] if by_joining else [_rank(wanted), Account.login_key]
    order.append(Account.id)
    limit = max(1, min(per_page, PER_PAGE_MAX))
    rows = await session.execute(
        select(Account)
        .where(*conditions)
        .order_by(*(column.desc() if descending else column for column in order))
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    total = await session.scalar(select(func.count()).select_from(Account).where(*conditions))
    found = [FoundAccount(one.id, one.login, one.name, one.kind, one.is_site_admin) for (one,) in rows]
    return FoundAccounts(found, total or 0)


def _holds(wanted: AccountSearch, word: str) -> ColumnElement[bool]:
    text = word.lower()
    ways = []
    if wanted.in_login:
        ways.append(Account.login_key.contains(text, autoescape=True))
    if wanted.in_name:
        ways.append(func.lower(Account.name).contains(text, autoescape=True))
    return or_(*ways)


def _rank(wanted: AccountSearch) -> ColumnElement[int]:
    text = " ".join(wanted.words).lower()
    return case((Account.login_key == text, 0), (Account.login_key.startswith(text, autoescape=True), 1), else_=2)
