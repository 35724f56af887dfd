"""Whoever changes a repository's objects holds its row."""

import pytest
from tests.factories.lfs import LfsPlace

from cairn.base.errors import NotFound
from cairn.lfs.authorization import hold_repository


async def test_a_held_repository_tells_its_owner(lfs_place: LfsPlace) -> None:
    async with lfs_place.database.write() as session:
        assert await hold_repository(session, lfs_place.second) == lfs_place.owner.id


async def test_a_repository_that_is_gone_is_not_found(lfs_place: LfsPlace) -> None:
    with pytest.raises(NotFound):
        async with lfs_place.database.write() as session:
            await hold_repository(session, 10**9)
