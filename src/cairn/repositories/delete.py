"""Deleting a repository: absent for everybody at once, its name free; for some days it can be restored.

What it has stays (``life.deleted`` restores or erases it), but for what points to it from elsewhere: forks, an offer to
somebody.
"""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.models import Store
from cairn.identity.models import Account
from cairn.repositories.events import RepositoryDeleted
from cairn.repositories.life.models import RepositoryDeletion
from cairn.repositories.names import unaskable_key
from cairn.repositories.network import leave_network
from cairn.repositories.queries import load_scope, lock_repository
from cairn.repositories.transfer import close_offer


async def delete_repository(session: AsyncSession, engine: Engine, actor: Actor, repository_id: int) -> None:
    """Delete a repository; its name is free at once. Errors: NotFound, Unauthenticated, Forbidden."""
    repository, store = await lock_repository(session, repository_id)

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, Action.REPOSITORY_DELETE, load)
    owner = await session.get_one(Account, repository.owner_id)
    full_name = f"{owner.login}/{repository.name}"
    await leave_network(session, repository)
    await close_offer(session, actor, repository_id, "cancelled")
    repository.is_deleted = True
    repository.name_key = unaskable_key(repository_id)
    # A plan that was staged before cannot land, nor is an answer found that was kept before.
    store.cache_epoch += 1
    if repository.wiki_store_id is not None:
        (await session.get_one(Store, repository.wiki_store_id)).cache_epoch += 1
    moment = await database_now(session)
    session.add(
        RepositoryDeletion(
            repository_id=repository_id,
            owner_id=repository.owner_id,
            deleted_by_id=actor.account_id,
            deleted_at=moment,
            erase_at=moment + timedelta(days=engine.settings.deleted_kept_days),
        )
    )
    await session.flush()
    emit(
        session,
        RepositoryDeleted(
            repository_id=repository_id, owner_id=repository.owner_id, full_name=full_name, actor_id=actor.account_id
        ),
    )
    record(session, actor, "repository.delete", full_name, account_id=owner.id, repository_id=repository_id)
