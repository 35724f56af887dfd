"""What happens by itself: what is due is erased, and who is gone stars nothing any more."""

from sqlalchemy import update
from tests.factories.forge import Forge
from tests.factories.work import do_what_is_due, services_of

from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import AccountDeleted
from cairn.jobs.context import JobContext
from cairn.repositories.delete import delete_repository
from cairn.repositories.life.jobs import erase_deleted
from cairn.repositories.life.models import RepositoryDeletion, WatchLevel
from cairn.repositories.life.stars import star
from cairn.repositories.life.watching import set_watch
from cairn.repositories.models import Repository
from cairn.repositories.queries import find_repository_by_id


async def test_the_stars_of_a_deleted_account_go_by_its_event(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    made = await forge.repository(ada, "engine")
    async with forge.database.write() as session:
        await star(session, ben.actor, made.id)
        await set_watch(session, ben.actor, made.id, WatchLevel.ALL)
        emit(session, AccountDeleted(account_id=ben.account.id))
    await do_what_is_due(forge.engine)
    async with forge.database.read() as session:
        found = await find_repository_by_id(session, ada.actor, made.id)
    assert (found.stars_count, found.watchers_count) == (0, 0)


async def test_what_is_due_is_erased(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine")
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, made.id)
        await session.execute(update(RepositoryDeletion).values(erase_at=await database_now(session)))
    await erase_deleted(JobContext(forge.database, 1, 1, 1, services_of(forge.engine)))
    async with forge.database.read() as session:
        assert await session.get(Repository, made.id) is None
