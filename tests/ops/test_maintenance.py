"""Housekeeping deletes what is old and nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.pushes import make_store, verdict
from tests.factories.small_pushes import SmallPusher
from tests.factories.work import do_what_is_due

from cairn.base.settings import load_settings
from cairn.git.compaction import PACKS_MAX
from cairn.git.engine import Engine
from cairn.git.manifest import read_manifest
from cairn.git.models import Pack
from cairn.git.shared_answers import SHARED_PREFIX, expire_shared_answers
from cairn.jobs.context import JobContext, LeaseLost
from cairn.jobs.lease import claim
from cairn.jobs.models import Schedule
from cairn.jobs.registry import registry
from cairn.jobs.schedules import enqueue_due
from cairn.ops import maintenance
from cairn.storage.storage import Storage, open_storage

pytest_plugins = ["tests.factories.engines"]


def _storage(folder: Path) -> Storage:
    return open_storage(load_settings({"CAIRN_DATA_DIR": str(folder)}))


async def test_answers_older_than_the_limit_are_deleted_and_packs_never(tmp_path: Path) -> None:
    storage = _storage(tmp_path)
    await storage.put(f"{SHARED_PREFIX}/7/answer", b"0000")
    await storage.put("packs/7/ab/pack.pack", b"PACK")
    now = datetime.now(UTC)

    assert await expire_shared_answers(storage, before=now - timedelta(hours=1)) == 0
    assert await storage.exists(f"{SHARED_PREFIX}/7/answer")

    assert await expire_shared_answers(storage, before=now + timedelta(hours=1)) == 1
    assert not await storage.exists(f"{SHARED_PREFIX}/7/answer")
    assert await storage.exists("packs/7/ab/pack.pack")


def test_the_worker_knows_the_housekeeping_of_the_engine() -> None:
    assert maintenance.COMPACT_KIND in registry.kinds
    expected = {
        "ops.expire_answers": timedelta(hours=6),
        "ops.sweep_uploads": timedelta(minutes=10),
        "ops.expire_rows": timedelta(days=1),
        "ops.find_crowded": maintenance.COMPACTION_SCANNED_EVERY,
        "ops.find_all_crowded": timedelta(days=1),
        "ops.delete_condemned": timedelta(minutes=30),
    }
    assert expected.items() <= registry.schedules.items()


async def test_the_worker_compacts_sweeps_and_deletes_by_itself(engine: Engine, tmp_path: Path) -> None:
    """Thirty pushes, then time: one pack is left, with everything in it."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(PACKS_MAX)
    assert set(await enqueue_due(engine.database, registry)) >= {"ops.find_crowded", "ops.sweep_uploads"}
    assert maintenance.COMPACT_KIND in await do_what_is_due(engine)
    assert len((await read_manifest(engine.database, pusher.store))[1]) == 1
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack).where(Pack.condemned_at.is_not(None))):
            assert pack.condemned_at is not None
            pack.condemned_at -= timedelta(hours=7)
        for schedule in await session.scalars(select(Schedule)):
            schedule.last_due_at -= timedelta(days=2)
    await enqueue_due(engine.database, registry)
    assert "schedule:ops.delete_condemned" in await do_what_is_due(engine)
    assert len([found async for found in engine.storage.list(f"packs/{pusher.store}/")]) == 2
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs


async def test_a_compaction_whose_lease_is_lost_replaces_nothing(engine: Engine) -> None:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(PACKS_MAX)
    await maintenance.enqueue_compactions(engine.database, [pusher.store])
    async with engine.database.write() as session:
        [held] = await claim(session, registry, holder="paused", limit=10)
    context = JobContext(engine.database, held.job_id, held.fencing - 1, held.attempt, {Engine: engine})
    with pytest.raises(LeaseLost):
        await held.handler(context, held.payload)
    assert len((await read_manifest(engine.database, pusher.store))[1]) == PACKS_MAX


async def test_a_store_waits_for_one_compaction_however_often_it_is_found(engine: Engine) -> None:
    stores = [await make_store(engine) for _ in range(3)]
    for _ in range(2):
        await maintenance.enqueue_compactions(engine.database, stores)
    assert await do_what_is_due(engine) == [maintenance.COMPACT_KIND] * 3


async def test_a_store_with_a_damaged_pack_keeps_its_manifest_and_makes_no_dead_job(engine: Engine) -> None:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(PACKS_MAX)
    _, packs = await read_manifest(engine.database, pusher.store)
    await engine.storage.delete(f"{packs[0].key}.pack")
    for folder in ("views", "packs"):
        (engine.cache.root / folder).rename(engine.cache.root / f"lost-{folder}")
    await maintenance.enqueue_compactions(engine.database, [pusher.store])
    assert await do_what_is_due(engine) == [maintenance.COMPACT_KIND]
    assert (await read_manifest(engine.database, pusher.store))[1] == packs
