"""The fine-grained tokens that are for an organization, as its owners see them, and taking their access away.

The token stays its owner's, who may see that it happened; it then reads what is public, as any token does.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import TokenAccessRevoked
from cairn.identity.models import Account, Token

PER_PAGE_MAX = 100


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


@dataclass(frozen=True, slots=True)
class OrganizationTokens:
    """A page of the list, and how many the whole list has."""

    items: list[OrganizationToken]
    total: int


async def list_organization_tokens(
    session: AsyncSession, actor: Actor, organization_id: int, *, page: int = 1, per_page: int = 30
) -> OrganizationTokens:
    """Return the tokens that reach the organization, the newest first. Errors: NotFound, Forbidden."""
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id)
    per_page = min(per_page, PER_PAGE_MAX)
    reaching = (Token.owner_id == organization_id, Token.access_revoked_at.is_(None))
    # ix_account_token_owner_id, primary key of account.
    rows = await session.execute(
        select(Token, Account.login)
        .join(Account, Account.id == Token.account_id)
        .where(*reaching)
        .order_by(Token.id.desc())
        .limit(per_page)
        .offset((page - 1) * per_page)
    )
    items = [_view(token, login) for token, login in rows]
    total = await session.scalar(select(func.count()).select_from(Token).where(*reaching))
    return OrganizationTokens(items, total or 0)


async def revoke_token_access(session: AsyncSession, actor: Actor, organization_id: int, token_id: int) -> None:
    """Take from a token what it reaches of the organization, from its next request on.

    Errors: NotFound if no token that reaches the organization has the number; Forbidden.
    """
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id)
    token = await session.get(Token, token_id, with_for_update=True, populate_existing=True)
    if token is None or token.owner_id != organization_id or token.access_revoked_at is not None:
        raise NotFound("Not Found")
    token.access_revoked_at = await database_now(session)
    await session.flush()
    emit(session, TokenAccessRevoked(organization_id=organization_id, token_id=token_id, actor_id=actor.account_id))
    details = {"name": token.name, "owner": str(token.account_id)}
    record(session, actor, "token.revoke_access", str(token_id), account_id=organization_id, details=details)


def _view(token: Token, login: str) -> OrganizationToken:
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
    )
