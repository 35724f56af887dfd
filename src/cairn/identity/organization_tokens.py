"""The fine-grained tokens that are for an organization, as its owners see them, and taking their access away.

The token stays its owner's, who may see that it happened; it then reads what is public, as any token does.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.db.clock import database_now
from cairn.db.json_lists import list_has
from cairn.events.emit import emit
from cairn.identity.events import TokenAccessRevoked
from cairn.identity.models import Account, Token

PER_PAGE_MAX = 100
REVOKED_AT_ONCE_MAX = 100


@dataclass(frozen=True, slots=True)
class OrganizationToken:
    """A token for an organization: whose it is and what it may, never the secret."""

    id: int
    name: str
    account_id: int
    login: str
    permissions: dict[str, str]
    repository_ids: frozenset[int] | None
    """None: every repository of the organization."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    is_expired: bool


@dataclass(frozen=True, slots=True)
class OrganizationTokens:
    """A page of the list, and how many the whole list has."""

    items: list[OrganizationToken]
    total: int


@dataclass(frozen=True, slots=True)
class TokenFilter:
    """Which tokens a list holds; everything left out matches all."""

    logins: frozenset[str] = frozenset()
    """Whose they are: any of these."""
    token_ids: frozenset[int] = frozenset()
    permission: str = ""
    """The name of one they have, at whatever level."""
    repository_id: int | None = None
    """One they reach, alone or with all others."""
    used_before: datetime | None = None
    used_after: datetime | None = None


async def list_organization_tokens(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    wanted: TokenFilter = TokenFilter(),
    *,
    descending: bool = True,
    page: int = 1,
    per_page: int = 30,
) -> OrganizationTokens:
    """Return the tokens that reach the organization, the newest first. Errors: NotFound, Forbidden."""
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id)
    per_page = min(per_page, PER_PAGE_MAX)
    conditions = [*_reaching(organization_id), *_conditions(wanted)]
    order = [column.desc() if descending else column.asc() for column in (Token.created_at, Token.id)]
    # ix_account_token_owner_id, primary key of account.
    joined = select(Token, Account.login).join(Account, Account.id == Token.account_id).where(*conditions)
    rows = await session.execute(joined.order_by(*order).limit(per_page).offset((page - 1) * per_page))
    now = await database_now(session)
    items = [_view(token, login, now) for token, login in rows]
    total = await session.scalar(select(func.count()).select_from(joined.subquery()))
    return OrganizationTokens(items, total or 0)


def _reaching(organization_id: int) -> list[ColumnElement[bool]]:
    return [Token.owner_id == organization_id, Token.access_revoked_at.is_(None)]


def _conditions(wanted: TokenFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.logins:
        found.append(Account.login_key.in_(sorted(login.lower() for login in wanted.logins)))
    if wanted.token_ids:
        found.append(Token.id.in_(sorted(wanted.token_ids)))
    if wanted.permission:
        found.append(Token.permissions[wanted.permission].as_string().is_not(None))
    if wanted.repository_id is not None:
        reaches_all = Token.repository_ids.is_(None)
        found.append(or_(reaches_all, list_has(Token.repository_ids, wanted.repository_id)))
    if wanted.used_before is not None:
        found.append(Token.last_used_at < wanted.used_before)
    if wanted.used_after is not None:
        found.append(Token.last_used_at > wanted.used_after)
    return found


async def read_organization_token(
    session: AsyncSession, actor: Actor, organization_id: int, token_id: int
) -> OrganizationToken:
    """Return one token that reaches the organization. Errors: NotFound, Forbidden."""
    found = await list_organization_tokens(
        session, actor, organization_id, TokenFilter(token_ids=frozenset({token_id}))
    )
    if not found.items:
        raise NotFound("Not Found")
    return found.items[0]


async def revoke_token_access(
    session: AsyncSession, actor: Actor, organization_id: int, token_ids: Collection[int]
) -> None:
    """Take from tokens what they reach of the organization, from their next request on: from all of them, or none.

    Errors: NotFound if no token that reaches the organization has one of the numbers; Forbidden.
    """
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id)
    assert 0 < len(token_ids) <= REVOKED_AT_ONCE_MAX
    # In one order, so that two owners who take the same ones at once never wait for each other.
    for token_id in sorted(set(token_ids)):
        await _revoke(session, actor, organization_id, token_id)


async def _revoke(session: AsyncSession, actor: Actor, organization_id: int, token_id: int) -> None:
    token = await session.get(Token, token_id, with_for_update=True, populate_existing=True)
    if token is None or token.owner_id != organization_id or token.access_revoked_at is not None:
        raise NotFound("Not Found")
    token.access_revoked_at = await database_now(session)
    await session.flush()
    emit(session, TokenAccessRevoked(organization_id=organization_id, token_id=token_id, actor_id=actor.account_id))
    details = {"name": token.name, "owner": str(token.account_id)}
    record(session, actor, "token.revoke_access", str(token_id), account_id=organization_id, details=details)


def _view(token: Token, login: str, now: datetime) -> OrganizationToken:
    return OrganizationToken(
        id=token.id,
        name=token.name,
        account_id=token.account_id,
        login=login,
        permissions=dict(token.permissions or {}),
        repository_ids=None if token.repository_ids is None else frozenset(token.repository_ids),
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        is_expired=token.expires_at is not None and token.expires_at <= now,
    )
