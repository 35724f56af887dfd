"""What every change of a wiki's refs meets, whoever makes it and by whatever door."""

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge, Person
from tests.repositories.wiki.support import MAIN, commit_files_to_wiki, reload

from cairn.audit.models import AuditEntry
from cairn.base.errors import Forbidden, NotFound
from cairn.base.ids import random_id
from cairn.events.models import EventRow
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.queries import RepositoryView
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.repositories.wiki.landing import make_wiki_within


async def delete_main(forge: Forge, person: Person, repository: RepositoryView, oid: Oid) -> list[str]:
    """Try to delete the branch of the pages; return why that was refused."""
    assert repository.wiki_store_id is not None
    state = await forge.engine.state(repository.wiki_store_id)
    staged = await forge.engine.stager.stage_deletions(state, [RefUpdate(MAIN, oid, ZERO_OID)], is_atomic=True)
    within = make_wiki_within(person.actor, repository.id)
    return [one.refusal for one in await forge.engine.land(staged, push_id=random_id(), actor="test", within=within)]


async def test_the_branch_of_the_pages_stays_and_every_move_is_told_and_audited(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    tip = await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"one\n"})
    repository = await reload(forge, ada, repository)
    [refusal] = await delete_main(forge, ada, repository, tip)
    assert "delete the pages instead" in refusal
    async with forge.database.read() as session:
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.repository_id == repository.id))).all()
        events = (await session.scalars(select(EventRow).where(EventRow.type == "wiki_changed"))).all()
    [pushed] = [entry for entry in entries if entry.action == "wiki.push"]
    assert pushed.actor_id == ada.account.id
    assert pushed.details == {"refs/heads/main": f"{ZERO_OID} {tip}"}
    assert len(events) == 1


async def test_who_may_not_write_lands_nothing_whatever_was_staged(forge: Forge) -> None:
    ada, bob = await forge.person("ada"), await forge.person("bob")
    repository = await forge.repository(ada, "engine")
    tip = await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"one\n"})
    repository = await reload(forge, ada, repository)
    with pytest.raises(Forbidden):
        await delete_main(forge, bob, repository, tip)
    async with forge.database.write() as session:
        await update_repository(session, forge.engine, ada.actor, repository.id, RepositoryChange(has_wiki=False))
    with pytest.raises(NotFound):
        await delete_main(forge, ada, repository, tip)
