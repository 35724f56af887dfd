"""Deleting a repository: its row, grants and redirects go now, its git data when collection comes by."""

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.models import Grant
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.identity.models import Account
from cairn.lfs.objects import forget_repository
from cairn.repositories.events import RepositoryDeleted
from cairn.repositories.models import Repository, RepositoryRename
from cairn.repositories.network import leave_network
from cairn.repositories.queries import load_scope, lock_repository


async def delete_repository(session: AsyncSession, engine: Engine, actor: Actor, repository_id: int) -> None:
    """Delete a repository for good; its name is free at once. Errors: NotFound, Unauthenticated, Forbidden."""
    repository, _ = await lock_repository(session, repository_id)

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, Action.REPOSITORY_DELETE, load)
    owner = await session.get_one(Account, repository.owner_id)
    full_name = f"{owner.login}/{repository.name}"
    owner_id, store_id = repository.owner_id, repository.store_id
    await leave_network(session, repository)
    await forget_repository(session, repository_id)
    await session.execute(delete(Grant).where(Grant.repository_id == repository_id))
    await session.execute(delete(RepositoryRename).where(RepositoryRename.repository_id == repository_id))
    await session.execute(delete(Repository).where(Repository.id == repository_id))
    await engine.delete_store(session, store_id)
    emit(
        session,
        RepositoryDeleted(
            repository_id=repository_id, owner_id=owner_id, full_name=full_name, actor_id=actor.account_id
        ),
    )
    # The repository's row is gone: the owner says in whose log this belongs.
    record(session, actor, "repository.delete", full_name, account_id=owner_id, repository_id=repository_id)
