"""D6: damaged bytes in the cache are found and replaced, in the bucket they are an incident; never are they used."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.git.cached_files import SUSPECTED_SECONDS, VERIFIED_SECONDS, PackDamaged, PackRow
from cairn.git.node_cache import NodeCache, View
from cairn.storage.storage import Downloaded, Storage, open_storage


class CountingStorage(Storage):
    """A store that counts downloads, each of which lets everybody else go first."""

    downloads = 0

    def __init__(self, real: Storage) -> None:
        self.__dict__.update(real.__dict__)

    async def download(self, key: str, path: Path) -> Downloaded:
        """Count and serve."""
        self.downloads += 1
        await asyncio.sleep(0)
        return await super().download(key, path)


@pytest.fixture
def storage(tmp_path: Path) -> CountingStorage:
    return CountingStorage(open_storage(Settings(storage_url=f"file://{tmp_path / 'store'}")))


@pytest.fixture
def restart(tmp_path: Path, storage: Storage) -> Callable[[], NodeCache]:
    """Start the program anew over the same cache folder."""
    return lambda: NodeCache(tmp_path / "cache", storage, max_bytes=1 << 30)


async def pack_of(storage: Storage, size: int = 1000) -> PackRow:
    pack_id, pack, index = random_id(), b"p" * size, b"i" * 100
    key = f"packs/1/{pack_id}"
    await storage.put(f"{key}.pack", pack)
    await storage.put(f"{key}.idx", index)
    digests = (hashlib.sha256(pack).hexdigest(), hashlib.sha256(index).hexdigest())
    return PackRow(pack_id, key, len(pack), len(index), *digests)


def flip(path: Path) -> None:
    """Change one byte where it lies: every hard link of the file has it."""
    with path.open("r+b") as file:
        file.seek(50)
        file.write(b"X")


def pack_file(view: View, pack: PackRow) -> Path:
    return view.objects / "pack" / f"pack-{pack.id}.pack"


def index_file(view: View, pack: PackRow) -> Path:
    return view.objects / "pack" / f"pack-{pack.id}.idx"


def is_whole(view: View, pack: PackRow) -> bool:
    return pack_file(view, pack).read_bytes() == b"p" * 1000 and index_file(view, pack).read_bytes() == b"i" * 100


@pytest.mark.parametrize("which", [pack_file, index_file])
async def test_bytes_damaged_while_the_program_was_away_are_replaced_before_their_first_use(
    restart: Callable[[], NodeCache], storage: CountingStorage, which: Callable[[View, PackRow], Path]
) -> None:
    pack = await pack_of(storage)
    async with restart().view(1, 1, [pack]) as view:
        flip(which(view, pack))
    cache = restart()
    async with cache.view(1, 2, [pack]) as newer:  # a new view links it from packs/
        assert is_whole(newer, pack)
    async with cache.view(1, 1, [pack]) as older:  # a view of before
        assert is_whole(older, pack)
    assert storage.downloads == 4
    async with restart().view(1, 1, [pack]) as view:
        assert is_whole(view, pack)
    assert storage.downloads == 4


async def test_a_view_of_before_is_verified_when_it_is_opened_first(
    restart: Callable[[], NodeCache], storage: CountingStorage
) -> None:
    pack = await pack_of(storage)
    async with restart().view(1, 1, [pack]) as view:
        flip(pack_file(view, pack))
    async with restart().view(1, 1, [pack]) as view:
        assert is_whole(view, pack)
    assert storage.downloads == 4


async def test_a_complaint_has_the_view_verified_again_but_not_at_every_complaint(
    restart: Callable[[], NodeCache], storage: CountingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, cache = await pack_of(storage), restart()
    async with cache.view(1, 1, [pack]) as view:
        flip(pack_file(view, pack))
        assert not await cache.suspect(view)
        later = time.monotonic() + SUSPECTED_SECONDS + 1
        monkeypatch.setattr("cairn.git.cached_files.time.monotonic", lambda: later)
        assert await cache.suspect(view)
        assert is_whole(view, pack)
        assert not await cache.suspect(view)
    async with cache.view(1, 2, [pack]) as view:
        assert is_whole(view, pack)
    assert storage.downloads == 4


async def test_a_scrub_finds_what_nobody_complains_about(
    restart: Callable[[], NodeCache], storage: CountingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, other, cache = await pack_of(storage), await pack_of(storage), restart()
    async with cache.view(1, 1, [pack, other]) as view, cache.view(1, 2, [pack]) as second:
        flip(pack_file(view, pack))
        await cache.scrub()
        assert not is_whole(view, pack)  # verified a moment ago, it is believed
        later = time.monotonic() + VERIFIED_SECONDS + 1
        monkeypatch.setattr("cairn.git.cached_files.time.monotonic", lambda: later)
        await cache.scrub()
        assert is_whole(view, pack)
        assert is_whole(second, pack)
        assert is_whole(view, other)
    assert storage.downloads == 6


async def test_damage_in_the_bucket_is_an_incident_until_it_is_mended(
    restart: Callable[[], NodeCache], storage: CountingStorage
) -> None:
    pack, cache = await pack_of(storage), restart()
    await storage.put(f"{pack.key}.pack", b"p" * 999 + b"X")
    for _ in range(2):
        with pytest.raises(PackDamaged):
            async with cache.view(1, 1, [pack]):
                pass
    assert list((cache.root / "views").iterdir()) == list((cache.root / "packs").iterdir()) == []
    await storage.put(f"{pack.key}.pack", b"p" * 1000)
    async with cache.view(1, 1, [pack]) as view:
        assert is_whole(view, pack)


async def test_damage_in_cache_and_bucket_is_served_to_nobody(
    restart: Callable[[], NodeCache], storage: CountingStorage
) -> None:
    pack = await pack_of(storage)
    async with restart().view(1, 1, [pack]) as view:
        flip(pack_file(view, pack))
    await storage.put(f"{pack.key}.pack", b"p" * 999 + b"X")
    cache = restart()
    with pytest.raises(PackDamaged):
        async with cache.view(1, 1, [pack]):
            pass
    await storage.put(f"{pack.key}.pack", b"p" * 1000)
    async with cache.view(1, 1, [pack]) as view:
        assert is_whole(view, pack)


async def test_a_program_fetches_a_pack_once_for_all_views_that_wait_for_it(
    restart: Callable[[], NodeCache], storage: CountingStorage
) -> None:
    packs, cache = [await pack_of(storage) for _ in range(6)], restart()

    async def use(version: int) -> None:
        async with cache.view(1, version, packs) as view:
            assert all(is_whole(view, pack) for pack in packs)

    await asyncio.gather(*(use(version) for version in (1, 2, 3) * 3))
    assert storage.downloads == 2 * len(packs)
