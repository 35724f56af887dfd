"""The worker collects, expires undo packs and compares by itself, and a damaged store makes no dead job."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from tests.factories.passing_time import let_pass
from tests.factories.pushes import make_store, verdict
from tests.factories.small_pushes import SmallPusher
from tests.factories.work import do_what_is_due

from cairn.git.bucket_comparison import last_comparison
from cairn.git.engine import Engine
from cairn.git.manifest import read_manifest
from cairn.git.ref_queries import ROOTS_KEPT
from cairn.git.undo_packs import UNDO_KEPT, list_undo_packs
from cairn.jobs.models import Schedule
from cairn.jobs.registry import registry
from cairn.jobs.schedules import enqueue_due
from cairn.ops import collecting

pytest_plugins = ["tests.factories.engines"]


async def a_week_later(engine: Engine) -> list[str]:
    async with engine.database.write() as session:
        for schedule in await session.scalars(select(Schedule)):
            schedule.last_due_at -= timedelta(days=8)
    await enqueue_due(engine.database, registry)
    return await do_what_is_due(engine)


async def make_garbage(engine: Engine) -> SmallPusher:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(2)
    await pusher.push(is_forced=True)
    await let_pass(engine.database, ROOTS_KEPT + timedelta(minutes=1))
    return pusher


def test_the_worker_knows_its_schedules() -> None:
    assert collecting.COLLECT_KIND in registry.kinds
    expected = {
        "ops.find_collectable": timedelta(days=1),
        "ops.expire_undo_packs": timedelta(days=1),
        "ops.compare_bucket": timedelta(days=7),
    }
    assert expected.items() <= registry.schedules.items()


async def test_the_worker_collects_expires_and_compares(engine: Engine, tmp_path: Path) -> None:
    pusher = await make_garbage(engine)
    await enqueue_due(engine.database, registry)
    assert collecting.COLLECT_KIND in await do_what_is_due(engine)
    assert len(await list_undo_packs(engine.database, pusher.store)) == 1
    assert await last_comparison(engine.database) is not None
    await let_pass(engine.database, UNDO_KEPT)
    done = await a_week_later(engine)
    assert "schedule:ops.expire_undo_packs" in done
    assert collecting.COLLECT_KIND not in done
    assert [found async for found in engine.storage.list("undo/")] == []
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs


async def test_a_damaged_store_keeps_its_manifest_and_makes_no_dead_job(engine: Engine) -> None:
    pusher = await make_garbage(engine)
    _, packs = await read_manifest(engine.database, pusher.store)
    for pack in packs:
        await engine.storage.delete(f"{pack.key}.pack")
    for folder in ("views", "packs"):
        (engine.cache.root / folder).rename(engine.cache.root / f"lost-{folder}")
    await collecting.enqueue_collections(engine.database, [pusher.store, pusher.store])
    assert await do_what_is_due(engine) == [collecting.COLLECT_KIND]
    assert (await read_manifest(engine.database, pusher.store))[1] == packs
