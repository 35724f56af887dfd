"""What large objects ask of a repository is read anew in the transaction that counts."""

import pytest
from sqlalchemy import delete
from tests.factories.forge import Forge

from cairn.access.actions import Action
from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.base.errors import Forbidden, NotFound
from cairn.repositories.lfs_access import make_authorize


async def test_a_lost_role_counts_at_once(forge: Forge) -> None:
    ada, grace = await forge.person("ada"), await forge.person("grace")
    repository = await forge.repository(ada, "engine", visibility=Visibility.PRIVATE)
    await forge.grant(repository, grace, Role.WRITE)
    authorize = make_authorize(grace.actor, repository.id)
    async with forge.database.read() as session:
        assert (await authorize(session, Action.REPOSITORY_PUSH)).account_id == grace.account.id
        with pytest.raises(Forbidden):
            await authorize(session, Action.REPOSITORY_MAINTAIN)
    async with forge.database.write() as session:
        await session.execute(delete(Grant).where(Grant.repository_id == repository.id))
    async with forge.database.read() as session:
        with pytest.raises(NotFound):
            await authorize(session, Action.REPOSITORY_PUSH)
