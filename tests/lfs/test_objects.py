"""Rows and sums of objects stay together, whatever adds and removes them."""

from tests.factories.lfs import LfsPlace

from cairn.lfs.authorization import hold_repository
from cairn.lfs.objects import Usage, find_object, find_objects, inherit_objects, remove_objects, usage_of


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
