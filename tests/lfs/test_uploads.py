"""An object belongs to a repository after its bytes were proved for it, and only then."""

import asyncio
import secrets
from hashlib import sha256

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.lfs import LfsPlace

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Forbidden
from cairn.lfs.models import BlobState, LfsBlob, LfsUpload
from cairn.lfs.objects import Usage, find_object, usage_of
from cairn.lfs.quotas import ObjectTooLarge, QuotaExceeded
from cairn.lfs.upload_sweeper import sweep_lfs_uploads
from cairn.lfs.uploads import ObjectMismatch, UploadTooLate


async def has(place: LfsPlace, data: bytes, *, repository_id: int) -> bool:
    async with place.database.read() as session:
        return await find_object(session, repository_id, sha256(data).hexdigest()) is not None


async def test_an_object_is_kept_whole(lfs_place: LfsPlace) -> None:
    data = secrets.token_bytes(3_000_000)
    sent = await lfs_place.send(data)
    assert await lfs_place.storage.get(sent.key, max_bytes=4_000_000) == data
    assert sent.oid not in sent.key  # keys never come from content
    async with lfs_place.database.read() as session:
        assert await usage_of(session, lfs_place.first) == Usage(1, 3_000_000)
        assert (await session.scalars(select(LfsUpload))).all() == []


async def test_the_empty_object_is_an_object(lfs_place: LfsPlace) -> None:
    sent = await lfs_place.send(b"")
    assert await lfs_place.storage.get(sent.key, max_bytes=1) == b""


@pytest.mark.parametrize("wrong", ["oid", "short", "long"])
async def test_what_is_not_what_was_announced_leaves_nothing(lfs_place: LfsPlace, wrong: str) -> None:
    data = b"large" * 1000
    oid = "0" * 64 if wrong == "oid" else None
    size = {"oid": 5000, "short": 5001, "long": 4999}[wrong]
    with pytest.raises(ObjectMismatch):
        await lfs_place.send(data, oid=oid, size=size)
    assert not await has(lfs_place, data, repository_id=lfs_place.first)
    assert await lfs_place.keys() == []
    swept = await sweep_lfs_uploads(lfs_place.database, lfs_place.storage)
    assert swept.expired == 1  # at once, not after a day


async def test_the_same_bytes_are_stored_once_and_proved_each_time(lfs_place: LfsPlace) -> None:
    data = b"shared" * 1000
    first = await lfs_place.send(data)
    assert not await has(lfs_place, data, repository_id=lfs_place.second)
    second = await lfs_place.send(data, to=lfs_place.second)
    assert first.key == second.key
    assert await lfs_place.keys() == [first.key]


async def test_knowing_a_hash_gives_nobody_the_object(lfs_place: LfsPlace) -> None:
    """Attack: name the SHA-256 of another repository's object and send something else."""
    data = b"secret" * 1000
    sent = await lfs_place.send(data)
    with pytest.raises(ObjectMismatch):
        await lfs_place.send(b"guessed" * 1000, oid=sent.oid, size=6000, to=lfs_place.second)
    assert not await has(lfs_place, data, repository_id=lfs_place.second)


async def test_one_object_sent_by_many_at_once_is_entered_once(lfs_place: LfsPlace) -> None:
    data = secrets.token_bytes(100_000)
    places = [lfs_place.first, lfs_place.second] * 3
    sent = await asyncio.gather(*(lfs_place.send(data, to=place) for place in places))
    assert len({one.key for one in sent}) == 1
    async with lfs_place.database.read() as session:
        assert await usage_of(session, lfs_place.first) == Usage(1, 100_000)
        assert await usage_of(session, lfs_place.second) == Usage(1, 100_000)
    await sweep_lfs_uploads(lfs_place.database, lfs_place.storage)
    assert await lfs_place.keys() == [sent[0].key]


async def test_who_lost_the_right_while_sending_adds_nothing(lfs_place: LfsPlace) -> None:
    """Attack: begin an upload, be removed, and end it."""

    async def refuse(session: AsyncSession, action: Action) -> Actor:
        assert action is Action.REPOSITORY_PUSH
        raise Forbidden("gone")

    with pytest.raises(Forbidden):
        await lfs_place.send(b"late", authorize=refuse)
    assert not await has(lfs_place, b"late", repository_id=lfs_place.first)


async def test_bytes_that_were_lost_are_taken_anew(lfs_place: LfsPlace) -> None:
    data = b"lost" * 1000
    sent = await lfs_place.send(data)
    await lfs_place.storage.delete(sent.key)
    again = await lfs_place.send(data)
    assert again.key != sent.key
    async with lfs_place.database.read() as session:
        found = await find_object(session, lfs_place.first, sent.oid)
    assert found is not None
    assert await lfs_place.storage.get(found.key, max_bytes=4000) == data


async def test_bytes_that_are_being_deleted_are_taken_anew(lfs_place: LfsPlace) -> None:
    data = b"going" * 1000
    sent = await lfs_place.send(data)
    async with lfs_place.database.write() as session:
        await session.execute(update(LfsBlob).values(state=BlobState.DELETING))
    again = await lfs_place.send(data, to=lfs_place.second)
    assert again.key != sent.key
    assert await lfs_place.storage.get(again.key, max_bytes=5000) == data


async def test_an_upload_that_the_sweeper_took_cannot_land(lfs_place: LfsPlace) -> None:
    async def after_a_day(session: AsyncSession, action: Action) -> Actor:
        await session.execute(update(LfsUpload).values(is_expired=True))
        return lfs_place.actor

    with pytest.raises(UploadTooLate):
        await lfs_place.send(b"slow", authorize=after_a_day)
    assert not await has(lfs_place, b"slow", repository_id=lfs_place.first)


async def test_quotas_name_themselves(lfs_place: LfsPlace) -> None:
    lfs_place.limit(max_lfs_object_bytes=1000)
    with pytest.raises(ObjectTooLarge, match="CAIRN_MAX_LFS_OBJECT_BYTES"):
        await lfs_place.send(b"x" * 1001)
    lfs_place.limit(max_lfs_object_bytes=0, max_lfs_repository_bytes=1500)
    await lfs_place.send(b"a" * 1000)
    with pytest.raises(QuotaExceeded, match="CAIRN_MAX_LFS_REPOSITORY_BYTES"):
        await lfs_place.send(b"b" * 501)
    await lfs_place.send(b"a" * 1000)  # what is there already takes no room
    lfs_place.limit(max_lfs_repository_bytes=0, max_lfs_owner_bytes=1500)
    with pytest.raises(QuotaExceeded, match="CAIRN_MAX_LFS_OWNER_BYTES"):
        await lfs_place.send(b"b" * 501, to=lfs_place.second)
    await lfs_place.send(b"b" * 500, to=lfs_place.second)


async def test_uploads_at_the_same_time_do_not_pass_a_quota_together(lfs_place: LfsPlace) -> None:
    """Attack: send many objects at once, each of which fits by itself."""
    lfs_place.limit(max_lfs_owner_bytes=1000)
    places = [lfs_place.first, lfs_place.second] * 2
    sent = await asyncio.gather(
        *(lfs_place.send(bytes([number]) * 600, to=place) for number, place in enumerate(places)),
        return_exceptions=True,
    )
    assert sorted(isinstance(one, QuotaExceeded) for one in sent) == [False, True, True, True], sent
