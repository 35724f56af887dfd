"""What uploads that never landed left behind goes."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.lfs import LfsPlace
from tests.factories.passing_time import let_pass

from cairn.lfs.models import LfsUpload
from cairn.lfs.upload_sweeper import sweep_lfs_uploads
from cairn.lfs.uploads import ObjectMismatch


async def test_a_sweep_deletes_what_was_written_and_forgets_it_a_day_later(lfs_place: LfsPlace) -> None:
    with pytest.raises(ObjectMismatch):
        await lfs_place.send(b"x", oid="0" * 64)
    async with lfs_place.database.read() as session:
        key = (await session.scalars(select(LfsUpload.key))).one()
    await lfs_place.storage.put(key, b"half")
    assert (await sweep_lfs_uploads(lfs_place.database, lfs_place.storage)).expired == 1
    assert await lfs_place.keys() == []
    await lfs_place.storage.put(key, b"late")  # by a node that was paused
    await let_pass(lfs_place.database, timedelta(days=2))
    assert (await sweep_lfs_uploads(lfs_place.database, lfs_place.storage)).removed == 1
    assert await lfs_place.keys() == []
