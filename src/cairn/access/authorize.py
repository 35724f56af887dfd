"""Authorizing inside a transaction: load what the rule needs for this actor, then let the rule speak."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

from sqlalchemy import ColumnElement, null, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.access.models import Grant
from cairn.access.roles import Role
from cairn.access.scopes import Scope
from cairn.base.actor import Actor
from cairn.base.errors import NotFound

AnyScope = TypeVar("AnyScope", bound=Scope)
ScopeLoader = Callable[[AsyncSession, Actor], Awaitable[AnyScope | None]]
"""Reads a scope as one actor meets it; None if the thing is absent."""


@overload
async def authorize(session: AsyncSession, actor: Actor, action: Action, scope: AnyScope) -> AnyScope: ...
@overload
async def authorize(session: AsyncSession, actor: Actor, action: Action, scope: ScopeLoader[AnyScope]) -> AnyScope: ...
async def authorize(
    session: AsyncSession, actor: Actor, action: Action, scope: AnyScope | ScopeLoader[AnyScope]
) -> AnyScope:
    """Return the scope if ``actor`` may do ``action`` to it now, in this transaction.

    Give a loader wherever the answer may have changed since the scope was read (after a lock was taken).
    Errors: NotFound for what is absent or hidden; Unauthenticated if signing in could help; Forbidden.
    """
    found = await scope(session, actor) if callable(scope) else scope
    if found is None:
        raise NotFound("Not Found")
    require(actor, action, found)
    return found


def granted_role(actor: Actor, repository_id: InstrumentedAttribute[int]) -> ColumnElement[Role | None]:
    """Return the actor's grant on a repository as a column, so that row and role are read by one statement."""
    if not actor.is_signed_in:
        return cast("ColumnElement[Role | None]", null())
    # The primary key of access_grant.
    return (
        select(Grant.role)
        .where(Grant.repository_id == repository_id, Grant.account_id == actor.account_id)
        .scalar_subquery()
    )
