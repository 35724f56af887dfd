"""Rows and sums of objects stay together, whatever adds and removes them."""

from sqlalchemy import func, select
from tests.factories.forge import Forge
from tests.factories.forking import fork
from tests.factories.lfs import LfsPlace
from tests.lfs.test_collection import pointer, send, there

from cairn.lfs.authorization import hold_repository
from cairn.lfs.condemned_blobs import condemn_unnamed
from cairn.lfs.models import LfsObject, LfsUsage
from cairn.lfs.objects import Usage, find_object, find_objects, inherit_objects, remove_objects, usage_of
from cairn.repositories.delete import delete_repository
from cairn.repositories.life.deleted import erase_repository, restore_repository
from cairn.repositories.sync import sync_fork


async def usages(place: LfsPlace) -> list[Usage]:
    async with place.database.read() as session:
        return [await usage_of(session, place.first), await usage_of(session, place.second)]


async def test_a_fork_has_what_its_parent_has(lfs_place: LfsPlace) -> None:
    shared, own = await lfs_place.send(b"both"), await lfs_place.send(b"parent's own")
    await lfs_place.send(b"both", to=lfs_place.second)
    for _ in range(2):  # filling a fork and each sync do it
        async with lfs_place.database.write() as session:
            await inherit_objects(session, parent_id=lfs_place.first, fork_id=lfs_place.second)
    assert await usages(lfs_place) == [Usage(2, 16), Usage(2, 16)]
    async with lfs_place.database.read() as session:
        found = await find_objects(session, lfs_place.second, [shared.oid, own.oid, "0" * 64])
    assert {one.key for one in found.values()} == {shared.key, own.key}


async def test_a_parent_has_nothing_of_its_fork(lfs_place: LfsPlace) -> None:
    theirs = await lfs_place.send(b"fork's own", to=lfs_place.second)
    async with lfs_place.database.write() as session:
        await inherit_objects(session, parent_id=lfs_place.first, fork_id=lfs_place.second)
    async with lfs_place.database.read() as session:
        assert await find_object(session, lfs_place.first, theirs.oid) is None


async def test_what_is_removed_is_off_the_sums(lfs_place: LfsPlace) -> None:
    sent = [await lfs_place.send(bytes([number]) * 10) for number in range(3)]
    async with lfs_place.database.write() as session:
        await hold_repository(session, lfs_place.first)
        oids = [sent[0].oid, sent[1].oid, "0" * 64]
        assert await remove_objects(session, lfs_place.first, oids) == Usage(2, 20)
    assert await usages(lfs_place) == [Usage(1, 10), Usage()]


async def test_a_fork_begins_and_is_synced_with_its_parents_objects(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"one.bin": pointer(b"one")}, may_lack_objects=True)
    one = await send(forge, parent, ada, b"one")
    mine = await fork(forge, ben, parent)
    assert await there(forge, mine, one) == {one}
    two = await send(forge, parent, ada, b"two")
    await forge.commit(ada, parent, {"two.bin": pointer(b"two")})
    assert await there(forge, mine, two) == set()
    await sync_fork(forge.database, forge.engine, ben.actor, mine, "main")
    assert await there(forge, mine, one, two) == {one, two}


async def rows(forge: Forge) -> tuple[int, int]:
    """Return how many rows there are of objects, and of sums."""
    async with forge.database.read() as session:
        counts = [await session.scalar(select(func.count()).select_from(model)) for model in (LfsObject, LfsUsage)]
    return int(counts[0] or 0), int(counts[1] or 0)


async def test_a_deleted_repository_keeps_its_objects_until_it_is_erased(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"one.bin": pointer(b"one")}, may_lack_objects=True)
    one = await send(forge, repository, ada, b"one")
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, repository.id)
    assert await rows(forge) == (1, 1)
    assert await condemn_unnamed(forge.database) == 0
    async with forge.database.write() as session:
        await restore_repository(session, ada.actor, repository.id)
    assert await there(forge, repository, one) == {one}
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, repository.id)
    async with forge.database.write() as session:
        await erase_repository(session, forge.engine, ada.actor, repository.id, typed="ada/engine")
    assert await rows(forge) == (0, 0)
    assert await condemn_unnamed(forge.database) == 1
