"""The worker's part: fills, separates and guards by itself, again and again without harm."""

from sqlalchemy import delete
from tests.factories.forge import Forge
from tests.factories.forked_stores import packs_of
from tests.factories.forking import fork, heads, may_see
from tests.factories.work import do_what_is_due

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import registry
from cairn.jobs.schedules import enqueue_due
from cairn.repositories.fork import NewFork, fork_repository
from cairn.repositories.network import FILL_KIND, SEPARATE_KIND, WorkOn


def test_the_worker_knows_the_jobs_of_forks() -> None:
    assert {FILL_KIND, SEPARATE_KIND} <= set(registry.kinds)
    assert "repositories.guard_private_forks" in registry.schedules


async def test_jobs_that_come_twice_or_too_late_do_nothing(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    mine = await fork(forge, ben, parent)
    before, packs = await heads(forge, mine), await packs_of(forge.engine, mine.store_id)
    async with forge.database.write() as session:
        for repository_id in (mine.id, 999_999):
            await enqueue(session, FILL_KIND, WorkOn(repository_id))
        await enqueue(session, SEPARATE_KIND, WorkOn(999_999))
    await do_what_is_due(forge.engine)
    assert await heads(forge, mine) == before
    assert await packs_of(forge.engine, mine.store_id) == packs


async def test_a_fork_deleted_before_it_was_filled_is_forgotten(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())
    assert (await forge.api(ben).call("DELETE", "/repos/ben/engine")).status_code == 204
    await do_what_is_due(forge.engine)
    assert (await fork(forge, ben, parent)).full_name == "ben/engine"


async def test_access_that_went_by_any_way_is_noticed_by_the_guard(forge: Forge) -> None:
    """A grant that vanished without the function that looks after forks: a team, an organization, an import."""
    ada, ben = await forge.person("ada"), await forge.person("ben")
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    await forge.grant(secret, ben, Role.READ)
    mine = await fork(forge, ben, secret)
    async with forge.database.write() as session:
        await session.execute(delete(Grant).where(Grant.repository_id == secret.id))
    assert await may_see(forge, ben, mine)
    assert "repositories.guard_private_forks" in await enqueue_due(forge.database, registry)
    assert "schedule:repositories.guard_private_forks" in await do_what_is_due(forge.engine)
    assert not await may_see(forge, ben, mine)
