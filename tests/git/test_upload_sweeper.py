"""The sweeper takes back what never landed, and a landing and the sweeper exclude each other."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.pushes import MAIN, allow, make_store, pieces, refs_of
from tests.factories.small_pushes import SmallPusher

from cairn.base.ids import random_id
from cairn.git import fail_points, upload_sweeper
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError
from cairn.git.landing import Staged
from cairn.git.models import Upload, UploadState
from cairn.git.pack_files import UploadExpired
from cairn.git.ref_transaction import RefUpdate
from cairn.git.staging import push_limits
from cairn.git.types import ZERO_OID
from cairn.git.upload_sweeper import Sweep, sweep_uploads

pytest_plugins = ["tests.factories.engines"]


async def _stage(engine: Engine, store: int) -> Staged:
    """Bring a push to just before its transaction (S5 done)."""
    new, pack = SmallPusher(engine, store).make(None)
    return await engine.stager.stage_push(
        await engine.state(store),
        [RefUpdate(MAIN, ZERO_OID, new)],
        pieces(pack),
        limits=push_limits(engine.settings, is_first=True),
        is_atomic=False,
    )


async def _age(engine: Engine, store: int, by: timedelta) -> None:
    """Let time pass for the store's uploads."""
    async with engine.database.write() as session:
        for upload in await session.scalars(select(Upload).where(Upload.store_id == store)):
            upload.expires_at -= by


async def _keys(engine: Engine, store: int) -> list[str]:
    return [found.key async for found in engine.storage.list(f"packs/{store}/")]


async def _states(engine: Engine, store: int) -> list[UploadState]:
    async with engine.database.read() as session:
        return list(await session.scalars(select(Upload.state).where(Upload.store_id == store)))


async def test_a_push_that_was_paused_past_its_time_is_refused_and_leaves_nothing(engine: Engine) -> None:
    """G3: pause after S5, expire, sweep, resume."""
    store = await make_store(engine)
    staged = await _stage(engine, store)
    assert len(await _keys(engine, store)) == 2
    await _age(engine, store, timedelta(hours=3))
    assert await sweep_uploads(engine.database, engine.storage) == Sweep(expired=1)
    assert await _keys(engine, store) == []
    with pytest.raises(UploadExpired):
        await engine.land(staged, push_id=random_id(), actor="tester", within=allow)
    assert await refs_of(engine, store) == {}
    await _age(engine, store, timedelta(days=1))
    assert await sweep_uploads(engine.database, engine.storage) == Sweep(removed=1)
    assert await _states(engine, store) == []
    with pytest.raises(UploadExpired):
        await engine.land(staged, push_id=random_id(), actor="tester", within=allow)


async def test_an_upload_within_its_time_is_left_alone_and_lands(engine: Engine) -> None:
    store = await make_store(engine)
    staged = await _stage(engine, store)
    await _age(engine, store, timedelta(hours=1, minutes=59))
    assert await sweep_uploads(engine.database, engine.storage) == Sweep()
    [outcome] = await engine.land(staged, push_id=random_id(), actor="tester", within=allow)
    assert outcome.refusal == ""
    assert len(await _keys(engine, store)) == 2


async def test_what_a_paused_node_writes_after_the_first_deletion_goes_with_the_row(engine: Engine) -> None:
    store = await make_store(engine)
    await _stage(engine, store)
    first, _ = await _keys(engine, store)
    await _age(engine, store, timedelta(hours=3))
    await sweep_uploads(engine.database, engine.storage)
    await engine.storage.put(first, b"late")
    assert await sweep_uploads(engine.database, engine.storage) == Sweep()
    assert await _keys(engine, store) == [first]
    await _age(engine, store, timedelta(days=1))
    assert await sweep_uploads(engine.database, engine.storage) == Sweep(removed=1)
    assert await _keys(engine, store) == []


async def test_a_sweeper_that_dies_between_row_and_bytes_is_made_good(engine: Engine) -> None:
    store = await make_store(engine)
    await _stage(engine, store)
    await _age(engine, store, timedelta(hours=3))
    fail_points.configure(["uploads_expired=error"])
    try:
        with pytest.raises(FailPointError):
            await sweep_uploads(engine.database, engine.storage)
    finally:
        fail_points.configure(())
    assert await _states(engine, store) == [UploadState.EXPIRED]
    assert len(await _keys(engine, store)) == 2
    await _age(engine, store, timedelta(days=1))
    await sweep_uploads(engine.database, engine.storage)
    assert await _keys(engine, store) == []


async def test_the_pack_of_a_landed_push_outlives_its_upload_row(engine: Engine) -> None:
    store = await make_store(engine)
    pusher = SmallPusher(engine, store)
    await pusher.push()
    await _age(engine, store, timedelta(days=7))
    assert await sweep_uploads(engine.database, engine.storage) == Sweep()
    await _age(engine, store, timedelta(hours=3))
    assert await sweep_uploads(engine.database, engine.storage) == Sweep(removed=1)
    assert len(await _keys(engine, store)) == 2
    assert await refs_of(engine, store) == pusher.refs


async def test_sweeping_takes_more_than_a_batch_and_only_the_asked_store(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_sweeper, "BATCH_ROWS", 2)
    one, other = await make_store(engine), await make_store(engine)
    for store in (one, one, one, one, one, other):
        await _stage(engine, store)
    for store in (one, other):
        await _age(engine, store, timedelta(hours=3))
    assert await sweep_uploads(engine.database, engine.storage, store_id=one) == Sweep(expired=5)
    assert await _keys(engine, one) == []
    assert len(await _keys(engine, other)) == 2


async def test_sweepers_and_landings_side_by_side_agree_on_each_push(engine: Engine) -> None:
    """Whoever wins, refs and bytes match: what was refused is gone, what landed is whole."""
    stores = [await make_store(engine) for _ in range(8)]
    plans = [await _stage(engine, store) for store in stores]
    for store in stores:
        await _age(engine, store, timedelta(hours=3))

    async def finish(staged: Staged) -> bool:
        try:
            await engine.land(staged, push_id=random_id(), actor="tester", within=allow)
        except UploadExpired:
            return False
        return True

    *landed, _, _ = await asyncio.gather(
        *map(finish, plans),
        sweep_uploads(engine.database, engine.storage),
        sweep_uploads(engine.database, engine.storage),
    )
    for store, has_landed in zip(stores, landed, strict=True):
        assert len(await _keys(engine, store)) == (2 if has_landed else 0)
        assert bool(await refs_of(engine, store)) == has_landed
