"""The bucket's folder of large objects and the tables are held against each other."""

import os
import time
from pathlib import Path

from tests.factories.lfs import LfsPlace

from cairn.git.bucket_comparison import OLD, hold
from cairn.lfs.bucket_comparison import compare_lfs


def make_old(place: LfsPlace, key: str) -> None:
    [path] = [path for path in Path(place.settings.data_dir).rglob(key.rpartition("/")[2]) if path.is_file()]
    long_ago = time.time() - OLD.total_seconds() - 3600
    os.utime(path, (long_ago, long_ago))


async def test_a_stray_goes_once_it_is_old(lfs_place: LfsPlace) -> None:
    sent = await lfs_place.send(b"known")
    stray = f"lfs/ab/ab{'0' * 30}"
    await lfs_place.storage.put(stray, b"stray")
    assert (await compare_lfs(lfs_place.database, lfs_place.storage)).unknown == 0
    make_old(lfs_place, stray)
    make_old(lfs_place, sent.key)
    found = await compare_lfs(lfs_place.database, lfs_place.storage)
    assert (found.unknown, found.deleted, found.unknown_keys, found.missing) == (1, 1, (stray,), 0)
    assert await lfs_place.keys() == [sent.key]


async def test_nothing_is_deleted_while_a_restore_holds_it(lfs_place: LfsPlace) -> None:
    stray = f"lfs/ab/ab{'0' * 30}"
    await lfs_place.storage.put(stray, b"stray")
    make_old(lfs_place, stray)
    async with lfs_place.database.write() as session:
        await hold(session, reason="restored")
    found = await compare_lfs(lfs_place.database, lfs_place.storage)
    assert (found.unknown, found.deleted) == (1, 0)


async def test_lost_and_cut_bytes_are_told(lfs_place: LfsPlace) -> None:
    lost, cut = await lfs_place.send(b"lost"), await lfs_place.send(b"cut off")
    await lfs_place.storage.delete(lost.key)
    await lfs_place.storage.put(cut.key, b"cut")
    found = await compare_lfs(lfs_place.database, lfs_place.storage)
    assert (found.missing, set(found.missing_keys)) == (2, {lost.key, cut.key})
