"""Repositories and grants for tests, as rows, without git data."""

import itertools

from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import LONG_AGO

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.git.models import Store
from cairn.identity.models import Account
from cairn.repositories.models import Repository

_numbers = itertools.count(1)


async def make_repository(
    session: AsyncSession,
    owner: Account,
    name: str | None = None,
    *,
    visibility: Visibility = Visibility.PUBLIC,
    is_archived: bool = False,
) -> Repository:
    """Return a new repository with an empty store."""
    name = name or f"repository{next(_numbers)}"
    store = Store(head_target=b"refs/heads/main", created_at=LONG_AGO)
    session.add(store)
    await session.flush()
    repository = Repository(
        owner_id=owner.id,
        name=name,
        name_key=name.lower(),
        store_id=store.id,
        visibility=visibility,
        is_archived=is_archived,
        created_at=LONG_AGO,
        updated_at=LONG_AGO,
    )
    session.add(repository)
    await session.flush()
    return repository


async def grant(session: AsyncSession, repository: Repository, account: Account, role: Role) -> None:
    """Make ``account`` a collaborator."""
    session.add(Grant(repository_id=repository.id, account_id=account.id, role=role, granted_at=LONG_AGO))
    await session.flush()
