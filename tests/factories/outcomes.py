"""What an act ends with for an actor, for tables: tried in a transaction that is rolled back.

assert await outcome(database, act(delete_team, actor, team_id)) is Forbidden
"""

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import CairnError
from cairn.db.database import Database

P = ParamSpec("P")
Act = Callable[[AsyncSession], Awaitable[object]]


def act(do: Callable[Concatenate[AsyncSession, P], Awaitable[object]], *arguments: P.args, **options: P.kwargs) -> Act:
    """Return a call that only wants its session."""

    async def run(session: AsyncSession) -> object:
        return await do(session, *arguments, **options)

    return run


async def outcome(database: Database, act: Act) -> type[CairnError] | None:
    """Return the kind of error an act ends with, None if it is allowed; nothing it did stays."""
    async with database.begin() as session:
        try:
            await act(session)
            await session.flush()
        except CairnError as error:
            return type(error)
    return None
