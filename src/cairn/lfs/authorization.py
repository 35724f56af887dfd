"""How the packages above say who may do what: this one knows repositories by their number only."""

from collections.abc import Awaitable, Callable

from sqlalchemy import BigInteger, column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound

Authorize = Callable[[AsyncSession, Action], Awaitable[Actor]]
"""Returns who asks, as they are in this transaction, if they may do that to the repository; raises as ``authorize``."""

# By name: its package stands above.
REPOSITORY = table(
    "repository", column("id", BigInteger), column("owner_id", BigInteger), column("store_id", BigInteger)
)


async def hold_repository(session: AsyncSession, repository_id: int) -> int:
    """Lock a repository's row until the transaction ends and return its owner's id; NotFound if it is gone.

    Whatever adds or removes objects does this first, so that they come one after the other.
    """
    # Primary key of repository.
    found = select(REPOSITORY.c.owner_id).where(REPOSITORY.c.id == repository_id).with_for_update()
    owner_id = await session.scalar(found)
    if owner_id is None:
        raise NotFound("Not Found")
    return int(owner_id)
