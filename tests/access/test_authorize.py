"""Authorizing in a transaction: the loader sees what is true now."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database


async def test_authorize_returns_the_scope_it_allowed(database: Database) -> None:
    async with database.write() as session:
        me, other = await make_account(session), await make_account(session)
        mine = AccountScope(me.id)

        async def load(session: AsyncSession, actor: Actor) -> AccountScope | None:
            return mine if actor.account_id == me.id else None

        assert await authorize(session, actor_of(me), Action.ACCOUNT_EDIT, mine) is mine
        assert await authorize(session, actor_of(me), Action.ACCOUNT_EDIT, load) is mine
        with pytest.raises(NotFound):
            await authorize(session, actor_of(other), Action.ACCOUNT_EDIT, load)
        with pytest.raises(Forbidden):
            await authorize(session, actor_of(other), Action.ACCOUNT_EDIT, mine)
        with pytest.raises(Unauthenticated):
            await authorize(session, ANONYMOUS, Action.ACCOUNT_EDIT, mine)
