"""The store of a wiki is made once, by whoever may write it."""

import asyncio

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge

from cairn.audit.models import AuditEntry
from cairn.base.errors import Forbidden
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.repositories.wiki.stores import NoWiki, ensure_wiki_store


async def test_who_comes_at_once_gets_the_same_store(forge: Forge) -> None:
    ada, bob = await forge.person("ada"), await forge.person("bob")
    repository = await forge.repository(ada, "engine")

    async def ensure() -> int:
        async with forge.database.write() as session:
            return await ensure_wiki_store(session, ada.actor, repository.id)

    stores = set(await asyncio.gather(*(ensure() for _ in range(3))))
    assert len(stores) == 1
    assert repository.store_id not in stores
    async with forge.database.read() as session:
        made = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "wiki.create"))).all()
    assert [entry.actor_id for entry in made] == [ada.account.id]
    async with forge.database.write() as session:
        with pytest.raises(Forbidden):
            await ensure_wiki_store(session, bob.actor, repository.id)
        await update_repository(session, forge.engine, ada.actor, repository.id, RepositoryChange(has_wiki=False))
        with pytest.raises(NoWiki):
            await ensure_wiki_store(session, ada.actor, repository.id)
