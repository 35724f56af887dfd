"""Condemned packs go after six hours, whole, and a pack that a manifest names never goes."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.pushes import make_store, verdict
from tests.factories.small_pushes import SmallPusher

from cairn.git import condemned_packs, fail_points
from cairn.git.compaction import compact_once
from cairn.git.condemned_packs import CONDEMNED_KEPT, delete_condemned
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState

pytest_plugins = ["tests.factories.engines"]


async def _compacted(engine: Engine) -> SmallPusher:
    """Return who pushed to a store of one live and three condemned packs."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(3)
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    return pusher


async def _age(engine: Engine, by: timedelta) -> None:
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack).where(Pack.condemned_at.is_not(None))):
            assert pack.condemned_at is not None
            pack.condemned_at -= by


async def _states(engine: Engine) -> list[PackState]:
    async with engine.database.read() as session:
        return sorted(await session.scalars(select(Pack.state)))


async def _keys(engine: Engine, store: int) -> int:
    return len([found async for found in engine.storage.list(f"packs/{store}/")])


async def test_condemned_packs_go_after_six_hours_and_not_before(engine: Engine, tmp_path: Path) -> None:
    pusher = await _compacted(engine)
    await _age(engine, CONDEMNED_KEPT - timedelta(minutes=1))
    assert (await delete_condemned(engine.database, engine.storage)).packs == 0
    assert await _keys(engine, pusher.store) == 8
    await _age(engine, timedelta(minutes=2))
    deleted = await delete_condemned(engine.database, engine.storage)
    assert deleted.packs == 3
    assert deleted.pack_bytes > 3 * 100
    assert await _keys(engine, pusher.store) == 2
    assert await _states(engine) == [PackState.LIVE]
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs


async def test_what_a_manifest_names_is_kept_whatever_its_state_says(engine: Engine) -> None:
    pusher, fork = await _compacted(engine), await make_store(engine)
    async with engine.database.write() as session:
        named = (await session.scalars(select(Pack.id).where(Pack.state == PackState.CONDEMNED).limit(1))).one()
        session.add(ManifestEntry(store_id=fork, pack_store_id=pusher.store, pack_id=named, kind=ManifestKind.BASE))
    await _age(engine, timedelta(hours=7))
    assert (await delete_condemned(engine.database, engine.storage)).packs == 2
    assert await _states(engine) == [PackState.CONDEMNED, PackState.LIVE]
    assert await _keys(engine, pusher.store) == 4


@pytest.mark.parametrize("step", [Step.PACKS_MARKED, Step.PACKS_BYTES_DELETED])
async def test_who_dies_between_mark_bytes_and_row_is_taken_over(engine: Engine, step: Step) -> None:
    pusher = await _compacted(engine)
    await _age(engine, timedelta(hours=7))
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await delete_condemned(engine.database, engine.storage)
    finally:
        fail_points.configure(())
    assert await _states(engine) == [*[PackState.DELETING] * 3, PackState.LIVE]
    assert (await delete_condemned(engine.database, engine.storage)).packs == 3
    assert await _states(engine) == [PackState.LIVE]
    assert await _keys(engine, pusher.store) == 2


async def test_the_packs_of_a_deleted_store_go_too_in_batches(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condemned_packs, "BATCH_PACKS", 2)
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(5)
    async with engine.database.write() as session:
        await engine.delete_store(session, pusher.store)
    await _age(engine, timedelta(hours=7))
    assert (await delete_condemned(engine.database, engine.storage)).packs == 5
    assert await _keys(engine, pusher.store) == 0
