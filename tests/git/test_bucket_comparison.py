"""Bucket and tables are compared both ways: strays go when they are old, what is missing is told, a hold stops all."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.factories.passing_time import let_pass
from tests.factories.pushes import make_store, verdict
from tests.factories.small_pushes import SmallPusher

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git import bucket_comparison
from cairn.git.bucket_comparison import Comparison, compare_bucket, hold, last_comparison, release
from cairn.git.collection import collect
from cairn.git.compaction import compact_once
from cairn.git.engine import Engine, open_engine
from cairn.git.manifest import read_manifest
from cairn.git.ref_queries import ROOTS_KEPT
from cairn.storage.storage import open_storage

pytest_plugins = ["tests.factories.engines"]

CLEAN = Comparison(0, 0, 0, (), ())
STRAYS = (
    "packs/1/" + "a" * 32 + ".pack",
    "packs/999999/" + "b" * 32 + ".idx",
    "packs/odd/x",
    "undo/1/" + "c" * 32 + ".pack",
)


@pytest.fixture
def everything_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge keys that were written this moment."""
    monkeypatch.setattr(bucket_comparison, "OLD", -timedelta(minutes=5))


async def make_lively(engine: Engine) -> SmallPusher:
    """A store with live, condemned and undo packs, and a cached answer in the bucket."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(3)
    await pusher.push(is_forced=True)
    await let_pass(engine.database, ROOTS_KEPT + timedelta(minutes=1))
    await collect(engine, pusher.store)
    await pusher.push_many(2)
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    await pusher.push()
    await engine.storage.put("cache/fetch/1/answer", b"0000")
    await engine.storage.put("lfs/objects/1", b"somebody else's")
    return pusher


async def keys(engine: Engine) -> set[str]:
    return {found.key async for found in engine.storage.list("")}


@pytest.mark.usefixtures("everything_is_old")
async def test_what_rows_know_is_kept_whatever_its_state(engine: Engine, tmp_path: Path) -> None:
    pusher = await make_lively(engine)
    before = await keys(engine)
    assert await compare_bucket(engine.database, engine.storage) == CLEAN
    assert await keys(engine) == before
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs
    found = await last_comparison(engine.database)
    assert found is not None
    assert (found.missing, found.unknown, found.held_at) == (0, 0, None)
    assert found.compared_at is not None


@pytest.mark.usefixtures("everything_is_old")
async def test_strays_go_and_nothing_else(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_comparison, "BATCH_ROWS", 3)
    await make_lively(engine)
    before = await keys(engine)
    for key in STRAYS:
        await engine.storage.put(key, b"left behind")
    found = await compare_bucket(engine.database, engine.storage)
    assert (found.unknown, found.deleted, sorted(found.unknown_keys)) == (4, 4, sorted(STRAYS))
    assert await keys(engine) == before


async def test_young_strays_are_left_alone(engine: Engine) -> None:
    await engine.storage.put(STRAYS[0], b"on its way")
    assert await compare_bucket(engine.database, engine.storage) == CLEAN
    assert await engine.storage.exists(STRAYS[0])


@pytest.mark.usefixtures("everything_is_old")
async def test_nothing_is_deleted_while_held(engine: Engine) -> None:
    await engine.storage.put(STRAYS[0], b"pushed after the backup")
    async with engine.database.write() as session:
        await hold(session, reason="restored from an older backup")
    found = await compare_bucket(engine.database, engine.storage)
    assert (found.unknown, found.deleted) == (1, 0)
    kept = await last_comparison(engine.database)
    assert kept is not None
    assert (kept.unknown, kept.hold_reason) == (1, "restored from an older backup")
    async with engine.database.write() as session:
        assert await release(session)
    async with engine.database.write() as session:
        assert not await release(session)
    assert (await compare_bucket(engine.database, engine.storage)).deleted == 1


@pytest.mark.usefixtures("everything_is_old")
async def test_missing_and_cut_keys_are_told_until_they_are_back(engine: Engine) -> None:
    pusher = await make_lively(engine)
    _, packs = await read_manifest(engine.database, pusher.store)
    lost, cut = f"{packs[0].key}.pack", f"{packs[1].key}.idx"
    content = {key: await engine.storage.get(key, max_bytes=1 << 20) for key in (lost, cut)}
    await engine.storage.delete(lost)
    await engine.storage.put(cut, b"cut")
    found = await compare_bucket(engine.database, engine.storage)
    assert (found.missing, set(found.missing_keys)) == (2, {lost, cut})
    for key, data in content.items():
        await engine.storage.put(key, data)
    assert await compare_bucket(engine.database, engine.storage) == CLEAN


async def test_comparisons_work_on_each_database(
    any_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_comparison, "OLD", -timedelta(minutes=5))
    monkeypatch.setattr(bucket_comparison, "BATCH_ROWS", 2)
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, any_database, open_storage(settings)) as engine:
        await make_lively(engine)
        await engine.storage.put(STRAYS[0], b"left behind")
        found = await compare_bucket(any_database, engine.storage)
        assert (found.missing, found.unknown, found.deleted) == (0, 1, 1)
        assert await compare_bucket(any_database, engine.storage) == CLEAN
