"""Objects are moved whole or not at all, hashed on their way, several at once and no faster than allowed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cairn.base.settings import Settings
from cairn.ops.backup.copying import Copied, Pace, Route, copy_absent
from cairn.ops.backup.ledger import KeyLedger
from cairn.ops.backup.stored_keys import StoredKey
from cairn.storage.address import StorageUrl
from cairn.storage.errors import StorageUnavailable
from cairn.storage.storage import Storage, open_storage_at


def _store(folder: Path) -> Storage:
    return open_storage_at(StorageUrl(f"file://{folder}", "TEST"), Settings())


def _described(key: str, data: bytes) -> StoredKey:
    return StoredKey(key, len(data), hashlib.sha256(data).hexdigest())


@pytest.fixture
def route(tmp_path: Path) -> Route:
    return Route(_store(tmp_path / "from"), _store(tmp_path / "to"), target_prefix="copies")


async def _copy(route: Route, ledger: KeyLedger) -> Copied:
    return await copy_absent(ledger, route, at_once=3, pace=Pace(0), tell=lambda _: None)


async def test_what_is_absent_is_copied_and_what_no_row_describes_is_described(route: Route, tmp_path: Path) -> None:
    objects = {f"packs/{number}": b"%d" % number * (number + 1) for number in range(250)}
    for key, data in objects.items():
        await route.source.put(key, data)
    with KeyLedger(tmp_path / "ledger.db") as ledger:
        ledger.want(StoredKey(key) if len(data) % 2 else _described(key, data) for key, data in objects.items())
        copied = await _copy(route, ledger)
        assert (copied.objects, copied.size, copied.damaged) == (250, sum(map(len, objects.values())), [])
        assert list(ledger.wanted()) == sorted((_described(*item) for item in objects.items()), key=lambda i: i.key)
        assert (await _copy(route, ledger)).objects == 0
    for key, data in objects.items():
        assert await route.target.get(f"copies/{key}", max_bytes=10_000) == data


async def test_what_is_not_what_its_row_says_is_not_left_in_the_target(route: Route, tmp_path: Path) -> None:
    await route.source.put("packs/right", b"right")
    await route.source.put("packs/other", b"wrong")
    await route.source.put("packs/short", b"sho")
    with KeyLedger(tmp_path / "ledger.db") as ledger:
        ledger.want([
            _described("packs/right", b"right"), _described("packs/other", b"other"),
            _described("packs/short", b"short"), _described("packs/gone", b"gone"),
        ])  # fmt: skip
        copied = await _copy(route, ledger)
    assert [item.key for item in copied.damaged] == ["packs/gone", "packs/other", "packs/short"]
    assert [found.key async for found in route.target.list()] == ["copies/packs/right"]


async def test_a_store_that_fails_ends_the_copying_with_its_own_error(
    route: Route, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(key: str, chunks: AsyncIterator[bytes]) -> int:
        raise StorageUnavailable("the target is away")

    monkeypatch.setattr(route.target, "put_stream", refuse)
    with KeyLedger(tmp_path / "ledger.db") as ledger:
        ledger.want([StoredKey(f"packs/{number}") for number in range(20)])
        with pytest.raises(StorageUnavailable, match="away"):
            await _copy(route, ledger)


async def test_the_pace_holds_over_all_transfers_together() -> None:
    pace, loop = Pace(1_000_000), asyncio.get_running_loop()
    start = loop.time()
    await asyncio.gather(*(pace.pass_on(50_000) for _ in range(6)))
    assert loop.time() - start >= 0.29
