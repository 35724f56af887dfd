"""What a collection dropped can be had back for thirty days, whole, and then it is gone."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.factories.passing_time import let_pass
from tests.factories.pushes import MAIN, allow, make_store, verdict
from tests.factories.small_pushes import SmallPusher

from cairn.base.ids import random_id
from cairn.git import fail_points
from cairn.git.cached_files import PackDamaged
from cairn.git.collection import collect
from cairn.git.doctor import examine
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.ref_queries import ROOTS_KEPT
from cairn.git.types import Oid
from cairn.git.undo_packs import UNDO_KEPT, NothingToRestore, expire_undo_packs, list_undo_packs, restore_writer

pytest_plugins = ["tests.factories.engines"]

BACK = b"refs/heads/back"
LONG = ROOTS_KEPT + timedelta(minutes=1)


async def lose(engine: Engine) -> tuple[SmallPusher, Oid]:
    """Two rounds of collection: the commit that is returned lies in the second undo pack, its parent in the first."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(2)
    lost = pusher.refs[MAIN]
    await pusher.push(is_forced=True)
    await let_pass(engine.database, LONG)
    assert (await collect(engine, pusher.store)).dropped == 6
    return pusher, lost


async def restore(engine: Engine, store: int, oid: Oid) -> None:
    staged = await engine.stage(store, await restore_writer(engine, store, oid, BACK))
    [outcome] = await engine.land(staged, push_id=random_id(), actor="operator", within=allow)
    assert outcome.refusal == ""


async def test_what_is_restored_no_longer_needs_its_undo_pack(engine: Engine, tmp_path: Path) -> None:
    pusher, lost = await lose(engine)
    await restore(engine, pusher.store, lost)
    await let_pass(engine.database, UNDO_KEPT)
    assert await expire_undo_packs(engine.database, engine.storage) == 1
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs | {BACK: lost}
    assert await examine(engine, pusher.store) == []


async def test_after_thirty_days_nothing_is_left(engine: Engine) -> None:
    pusher, lost = await lose(engine)
    await let_pass(engine.database, UNDO_KEPT - timedelta(minutes=1))
    assert await expire_undo_packs(engine.database, engine.storage) == 0
    await let_pass(engine.database, timedelta(minutes=2))
    assert await list_undo_packs(engine.database, pusher.store) == []
    fail_points.configure([f"{Step.UNDO_BYTES_DELETED.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await expire_undo_packs(engine.database, engine.storage)
    finally:
        fail_points.configure([])
    assert await expire_undo_packs(engine.database, engine.storage) == 1
    assert [found async for found in engine.storage.list("undo/")] == []
    with pytest.raises(NothingToRestore):
        await restore(engine, pusher.store, lost)


async def test_an_object_that_was_never_dropped_is_not_restored(engine: Engine) -> None:
    pusher, _ = await lose(engine)
    with pytest.raises(NothingToRestore):
        await restore(engine, pusher.store, Oid("12" * 20))


async def test_a_damaged_undo_pack_restores_nothing(engine: Engine) -> None:
    pusher, lost = await lose(engine)
    [pack] = await list_undo_packs(engine.database, pusher.store)
    await engine.storage.put(f"{pack.key}.pack", b"something else")
    with pytest.raises(PackDamaged):
        await restore(engine, pusher.store, lost)
    await engine.storage.delete(f"{pack.key}.pack")
    with pytest.raises(PackDamaged):
        await restore(engine, pusher.store, lost)
