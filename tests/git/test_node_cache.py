"""The node's cache: what it holds is right or not there, whoever deletes, fills or shares it."""

import asyncio
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.git.cached_files import PackDamaged, PackRow
from cairn.git.node_cache import GRACE_SECONDS, DiskFull, NodeCache, ViewMissing
from cairn.storage.errors import StorageUnavailable
from cairn.storage.storage import Downloaded, Storage, open_storage

LONG_AGO = time.time() - 10 * GRACE_SECONDS


class CountingStorage(Storage):
    """A store that counts downloads and fails the next ones as told."""

    downloads = 0

    def __init__(self, real: Storage) -> None:
        self.__dict__.update(real.__dict__)
        self.faults: list[Exception | bytes] = []

    async def download(self, key: str, path: Path) -> Downloaded:
        """Serve, or do what the next fault says: raise it, or deliver these bytes."""
        self.downloads += 1
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            path.write_bytes(fault)
            return Downloaded(len(fault), hashlib.sha256(fault).hexdigest())
        return await super().download(key, path)


@pytest.fixture
def storage(tmp_path: Path) -> CountingStorage:
    return CountingStorage(open_storage(Settings(storage_url=f"file://{tmp_path / 'store'}")))


@pytest.fixture
def cache(tmp_path: Path, storage: CountingStorage) -> NodeCache:
    return NodeCache(tmp_path / "cache", storage, max_bytes=1 << 30)


async def pack_of(storage: Storage, size: int = 1000, *, fill: bytes = b"p") -> PackRow:
    """Put something like a pack into the store."""
    pack_id, pack, index = random_id(), fill * size, b"i" * 100
    key = f"packs/1/{pack_id}"
    await storage.put(f"{key}.pack", pack)
    await storage.put(f"{key}.idx", index)
    return PackRow(
        pack_id, key, len(pack), len(index), hashlib.sha256(pack).hexdigest(), hashlib.sha256(index).hexdigest()
    )


def age(cache: NodeCache) -> None:
    """Make everything in the cache look long unused."""
    for kind in ("locks", "packs", "fetch", "tmp"):
        for entry in (cache.root / kind).iterdir():
            with suppress(FileNotFoundError):
                os.utime(entry, (LONG_AGO, LONG_AGO))


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


async def test_a_view_holds_exactly_its_packs(cache: NodeCache, storage: CountingStorage) -> None:
    packs = [await pack_of(storage), await pack_of(storage)]
    async with cache.view(1, 5, packs) as view:
        expected = {f"pack-{pack.id}.{ending}" for pack in packs for ending in ("pack", "idx")}
        assert names(view.objects / "pack") == expected
        assert view.pack_bytes == 2200
    assert storage.downloads == 4
    async with cache.view(1, 5, None):
        pass
    async with cache.view(1, 6, packs):
        pass
    assert storage.downloads == 4
    assert names(cache.root / "tmp") == set()


async def test_a_view_that_is_not_here_is_missing(cache: NodeCache) -> None:
    with pytest.raises(ViewMissing):
        async with cache.view(1, 1, None):
            pass


async def test_many_at_once_fetch_each_pack_once(cache: NodeCache, storage: CountingStorage) -> None:
    packs = [await pack_of(storage)]

    async def use(version: int) -> None:
        async with cache.view(1, version, packs) as view:
            assert view.path.is_dir()

    await asyncio.gather(*(use(version) for version in (1, 1, 1, 2, 2, 3) * 3))
    assert storage.downloads == 2
    assert len(cache._making) == 0


async def test_two_programs_of_a_node_share_one_cache(
    cache: NodeCache, storage: CountingStorage, tmp_path: Path
) -> None:
    packs = [await pack_of(storage)]
    other = NodeCache(tmp_path / "cache", storage, max_bytes=1 << 30)

    async def use(which: NodeCache, version: int) -> None:
        async with which.view(1, version, packs) as view:
            assert len(names(view.objects / "pack")) == 2

    await asyncio.gather(*(use(which, version) for version in range(5) for which in (cache, other)))


@pytest.mark.parametrize("fault", [b"", b"p" * 999, b"q" * 1000, b"p" * 2000])
async def test_wrong_bytes_are_fetched_again_and_never_kept(
    cache: NodeCache, storage: CountingStorage, fault: bytes
) -> None:
    """F8: short, altered or too long: the first time it is tried again, the second time it is an incident."""
    pack = await pack_of(storage)
    storage.faults = [b"i" * 100, fault]
    async with cache.view(1, 1, [pack]) as view:
        assert (view.objects / "pack" / f"pack-{pack.id}.pack").read_bytes() == b"p" * 1000
    other = await pack_of(storage)
    storage.faults = [b"i" * 100, fault, fault]
    with pytest.raises(PackDamaged):
        async with cache.view(1, 2, [pack, other]):
            pass
    assert other.id not in names(cache.root / "packs")
    assert names(cache.root / "tmp") == set()


async def test_a_pack_absent_from_the_store_is_an_incident(cache: NodeCache, storage: CountingStorage) -> None:
    pack = await pack_of(storage)
    await storage.delete(f"{pack.key}.pack")
    with pytest.raises(PackDamaged):
        async with cache.view(1, 1, [pack]):
            pass


async def test_a_transfer_that_breaks_once_is_tried_again(cache: NodeCache, storage: CountingStorage) -> None:
    pack = await pack_of(storage)
    storage.faults = [StorageUnavailable("cut")]
    async with cache.view(1, 1, [pack]):
        pass
    storage.faults = [StorageUnavailable("cut"), StorageUnavailable("cut")]
    with pytest.raises(StorageUnavailable):
        async with cache.view(1, 2, [await pack_of(storage)]):
            pass


async def test_the_whole_cache_may_be_deleted_at_any_moment(cache: NodeCache, storage: CountingStorage) -> None:
    packs = [await pack_of(storage)]
    async with cache.view(1, 1, packs):
        for entry in cache.root.iterdir():
            shutil.rmtree(entry)
    async with cache.view(1, 1, packs) as view:
        assert len(names(view.objects / "pack")) == 2
    shutil.rmtree(cache.root)
    cache.evict(0)
    cache.sweep()
    async with cache.view(1, 1, packs):
        pass


async def test_eviction_spares_what_is_in_use_and_what_was_used_lately(
    cache: NodeCache, storage: CountingStorage
) -> None:
    held, recent, old = [await pack_of(storage)], [await pack_of(storage)], [await pack_of(storage)]
    async with cache.view(3, 1, old), cache.view(2, 1, recent):
        pass
    async with cache.view(1, 1, held):
        age(cache)
        os.utime(cache.root / "locks" / "2-1")
        os.utime(cache.root / "packs" / recent[0].id)
        await asyncio.to_thread(cache.evict, 0)
        assert names(cache.root / "views") == {"1-1", "2-1"}
        assert names(cache.root / "packs") == {held[0].id, recent[0].id}


async def test_eviction_takes_the_oldest_with_its_packs_and_no_more_than_it_must(
    cache: NodeCache, storage: CountingStorage
) -> None:
    packs = [[await pack_of(storage, 100_000)] for _ in range(4)]
    for store, pack in enumerate(packs):
        async with cache.view(store, 1, pack):
            pass
    answer = cache.root / "fetch" / "answer"
    answer.write_bytes(b"x" * 50_000)
    age(cache)
    for store in range(4):
        moment = LONG_AGO + store
        os.utime(cache.root / "locks" / f"{store}-1", (moment, moment))
    os.utime(answer, (LONG_AGO + 10, LONG_AGO + 10))
    used = await asyncio.to_thread(cache.evict, 400_000)
    assert used <= 320_000
    assert names(cache.root / "views") == {"2-1", "3-1"}
    assert names(cache.root / "packs") == {packs[2][0].id, packs[3][0].id}
    assert answer.exists()


async def test_views_that_a_later_version_replaced_go_away(cache: NodeCache, storage: CountingStorage) -> None:
    """Each push makes a view; a file system gives one pack only so many names (ext4: 65,000)."""
    packs = [await pack_of(storage)]
    async with cache.view(1, 1, packs):
        for version in range(2, 6):
            async with cache.view(1, version, packs):
                pass
        age(cache)
        os.utime(cache.root / "locks" / "1-4")
        await asyncio.to_thread(cache.sweep)
        assert names(cache.root / "views") == {"1-1", "1-4", "1-5"}  # in use, used lately, newest
    await asyncio.to_thread(cache.sweep)
    assert names(cache.root / "views") == {"1-4", "1-5"}


async def test_a_view_evicted_meanwhile_is_made_again(cache: NodeCache, storage: CountingStorage) -> None:
    packs = [await pack_of(storage)]
    for _ in range(5):
        async with cache.view(1, 1, packs):
            pass
        age(cache)
        cache._touched.clear()
        await asyncio.to_thread(cache.evict, 0)
        assert names(cache.root / "views") == names(cache.root / "packs") == set()


async def test_users_and_eviction_do_not_disturb_each_other(cache: NodeCache, storage: CountingStorage) -> None:
    packs = [await pack_of(storage) for _ in range(3)]
    stop = asyncio.Event()

    async def evict() -> None:
        while not stop.is_set():
            age(cache)
            await asyncio.to_thread(cache.evict, 0)

    async def use(store: int) -> None:
        for version in range(15):
            async with cache.view(store, version % 3, packs) as view:
                for pack in packs:
                    data = (view.objects / "pack" / f"pack-{pack.id}.pack").read_bytes()
                    assert hashlib.sha256(data).hexdigest() == pack.pack_sha256

    evicting = asyncio.create_task(evict())
    try:
        await asyncio.gather(*(use(store) for store in range(3)))
    finally:
        stop.set()
        await evicting


@pytest.mark.parametrize("kind", ["tmp", "forms"])
async def test_temporary_files_of_dead_processes_are_swept(cache: NodeCache, kind: str) -> None:
    place = cache.root / kind
    (place / "folder" / "inner").mkdir(parents=True)
    (place / "still-coming").mkdir()
    for name in ("file", "young", "still-coming/0"):
        (place / name).write_text("x")
    for name in ("folder/inner", "folder", "file", "still-coming"):
        os.utime(place / name, (0, 0))
    cache.sweep()
    assert names(place) == {"young", "still-coming"}


async def test_an_uploaded_pack_is_adopted_without_a_download(
    cache: NodeCache, storage: CountingStorage, tmp_path: Path
) -> None:
    pack = await pack_of(storage)
    made = cache.root / "quarantine" / "q"
    made.mkdir()
    (made / "pack").write_bytes(b"p" * 1000)
    (made / "idx").write_bytes(b"i" * 100)
    cache.adopt(pack.id, made / "pack", made / "idx")
    async with cache.view(1, 1, [pack]):
        pass
    assert storage.downloads == 0
    cache.adopt(pack.id, made / "pack", made / "idx")  # once more, and with files that are gone: only a shortcut lost
    cache.adopt(random_id(), made / "gone", made / "gone")
    assert names(cache.root / "tmp") == set()


async def test_half_a_pack_in_the_cache_is_replaced(cache: NodeCache, storage: CountingStorage) -> None:
    pack = await pack_of(storage)
    folder = cache.root / "packs" / pack.id
    folder.mkdir()
    (folder / f"pack-{pack.id}.pack").write_bytes(b"p")
    async with cache.view(1, 1, [pack]) as view:
        assert view.pack_bytes == 1100


async def test_a_full_disk_is_named_and_makes_room(
    cache: NodeCache, storage: CountingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [await pack_of(storage)]
    async with cache.view(1, 1, old):
        pass
    age(cache)
    storage.faults = [OSError(errno.ENOSPC, "No space left on device")]
    new = [await pack_of(storage)]
    with pytest.raises(DiskFull):
        async with cache.view(2, 1, new):
            pass
    assert names(cache.root / "packs") == set()
    async with cache.view(2, 1, new):
        pass


async def test_filling_beyond_the_bound_evicts(storage: CountingStorage, tmp_path: Path) -> None:
    cache = NodeCache(tmp_path / "small", storage, max_bytes=150_000)
    for store in range(4):
        async with cache.view(store, 1, [await pack_of(storage, 100_000)]):
            pass
        age(cache)
    await cache.weigh()
    assert len(names(cache.root / "packs")) <= 2


async def test_a_touch_reaches_the_disk_at_most_every_half_minute(
    cache: NodeCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[Path] = []
    real: Callable[..., None] = os.utime

    def utime(path: Path) -> None:
        touched.append(path)
        real(path)

    monkeypatch.setattr(os, "utime", utime)
    file = tmp_path / "file"
    file.write_text("x")
    for _ in range(3):
        cache.touch(file)
        cache.touch(tmp_path / "gone")
    assert touched == [file, tmp_path / "gone"]
