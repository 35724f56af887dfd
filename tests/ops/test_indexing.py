"""The worker indexes what was pushed to, once, and takes out of use what cannot be used any more."""

from datetime import timedelta

import pytest
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.git import index_building
from cairn.git.engine import Engine
from cairn.git.indexes import known_index_keys, read_indexes
from cairn.git.manifest import read_manifest
from cairn.jobs.context import JobContext
from cairn.jobs.lease import claim, finish
from cairn.jobs.registry import registry
from cairn.ops import indexing

pytest_plugins = ["tests.factories.engines"]


@pytest.fixture(autouse=True)
def small_stores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_building, "OBJECTS_MIN", 1)
    monkeypatch.setattr(index_building, "_GRAPH_LAG_MIN", 0)


async def run_indexing(engine: Engine, scan: str) -> int:
    """Do what a schedule asks for and every indexing it enqueued; return how many those were."""
    assert scan in registry.schedules
    done = 0
    while True:
        async with engine.database.write() as session:
            claims = await claim(session, registry, holder="tester", limit=10)
        if not claims:
            return done
        for held in claims:
            context = JobContext(engine.database, held.job_id, held.fencing, held.attempt, {Engine: engine})
            await held.handler(context, held.payload)
            async with engine.database.write() as session:
                await finish(session, held)
            done += held.handler.kind == indexing.INDEX_KIND


def context(engine: Engine) -> JobContext:
    return JobContext(engine.database, 0, 0, 1, {Engine: engine})


async def kinds(engine: Engine, store: int) -> int:
    _, packs = await read_manifest(engine.database, store)
    return len(await read_indexes(engine.database, store, [pack.id for pack in packs]))


def test_the_worker_knows_the_schedules() -> None:
    expected = {
        "ops.find_unindexed": timedelta(minutes=2),
        "ops.find_all_unindexed": timedelta(days=1),
        "ops.delete_indexes": timedelta(hours=1),
    }
    assert expected.items() <= registry.schedules.items()
    assert indexing.INDEX_KIND in registry.kinds


async def test_what_was_pushed_to_is_indexed_once(engine: Engine) -> None:
    store = await make_store(engine)
    await SmallPusher(engine, store).push_many(2)
    for _ in range(2):
        await indexing.index_what_was_pushed_to(context(engine))
    assert await run_indexing(engine, "ops.find_unindexed") == 1
    assert await kinds(engine, store) == 2
    await indexing.index_what_was_pushed_to(context(engine))
    assert await run_indexing(engine, "ops.find_unindexed") == 0


async def test_the_daily_scan_replaces_what_lost_its_bytes(engine: Engine) -> None:
    store = await make_store(engine)
    await SmallPusher(engine, store).push_many(2)
    await indexing.index_everything(context(engine))
    assert await run_indexing(engine, "ops.find_all_unindexed") == 1
    async with engine.database.read() as session:
        for key in await known_index_keys(session, store):
            await engine.storage.delete(key)
    await indexing.index_everything(context(engine))
    assert await run_indexing(engine, "ops.find_all_unindexed") == 1
    assert await kinds(engine, store) == 2
    await indexing.delete_old_indexes(context(engine))  # too young to go


async def test_a_store_that_is_gone_is_passed_over(engine: Engine) -> None:
    await indexing.enqueue_indexing(engine.database, [12345])
    assert await run_indexing(engine, "ops.find_unindexed") == 1
