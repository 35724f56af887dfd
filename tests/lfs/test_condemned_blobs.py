"""Bytes that no repository has go six hours after that was noticed, unless they are wanted again."""

from datetime import timedelta

from sqlalchemy import select
from tests.factories.lfs import LfsPlace
from tests.factories.passing_time import let_pass

from cairn.git.pins import set_pin
from cairn.lfs.authorization import hold_repository
from cairn.lfs.condemned_blobs import condemn_unnamed, delete_condemned_blobs
from cairn.lfs.models import BlobState, LfsBlob
from cairn.lfs.objects import StoredObject, forget_repository, remove_objects

SEVEN_HOURS = timedelta(hours=7)


async def remove(place: LfsPlace, sent: StoredObject) -> None:
    async with place.database.write() as session:
        await hold_repository(session, place.first)
        await remove_objects(session, place.first, [sent.oid])


async def state_of(place: LfsPlace, sent: StoredObject) -> BlobState | None:
    async with place.database.read() as session:
        return await session.scalar(select(LfsBlob.state).where(LfsBlob.sha256 == sent.oid))


async def test_bytes_go_in_two_steps(lfs_place: LfsPlace) -> None:
    kept, sent = await lfs_place.send(b"kept"), await lfs_place.send(b"sent")
    await remove(lfs_place, sent)
    assert await condemn_unnamed(lfs_place.database) == 1
    assert (await delete_condemned_blobs(lfs_place.database, lfs_place.storage)).packs == 0
    await let_pass(lfs_place.database, SEVEN_HOURS)
    done = await delete_condemned_blobs(lfs_place.database, lfs_place.storage)
    assert (done.packs, done.pack_bytes) == (1, 4)
    assert await state_of(lfs_place, sent) is None
    assert await lfs_place.keys() == [kept.key]


async def test_bytes_that_another_repository_has_stay(lfs_place: LfsPlace) -> None:
    sent = await lfs_place.send(b"both")
    await lfs_place.send(b"both", to=lfs_place.second)
    async with lfs_place.database.write() as session:
        await forget_repository(session, lfs_place.first)
    assert await condemn_unnamed(lfs_place.database) == 0
    assert await state_of(lfs_place, sent) is BlobState.LIVE


async def test_condemned_bytes_that_are_sent_again_live(lfs_place: LfsPlace) -> None:
    sent = await lfs_place.send(b"back")
    await remove(lfs_place, sent)
    await condemn_unnamed(lfs_place.database)
    await lfs_place.send(b"back", to=lfs_place.second)
    assert await state_of(lfs_place, sent) is BlobState.LIVE
    await let_pass(lfs_place.database, SEVEN_HOURS)
    assert (await delete_condemned_blobs(lfs_place.database, lfs_place.storage)).packs == 0
    assert await lfs_place.keys() == [sent.key]


async def test_a_backup_holds_condemned_bytes_back(lfs_place: LfsPlace) -> None:
    sent = await lfs_place.send(b"pinned")
    await set_pin(lfs_place.database, "backup", lifetime=timedelta(days=1))
    await remove(lfs_place, sent)
    await condemn_unnamed(lfs_place.database)
    done = await delete_condemned_blobs(lfs_place.database, lfs_place.storage, kept=timedelta())
    assert done.packs == 0
    assert await lfs_place.keys() == [sent.key]
