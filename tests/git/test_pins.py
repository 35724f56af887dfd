"""A pin spares every pack that was live when it was set, for as long as it stands and not longer."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.git.compaction import compact_once
from cairn.git.condemned_packs import delete_condemned
from cairn.git.engine import Engine
from cairn.git.models import Pack, PackState, Pin
from cairn.git.pins import LOOK_BACK, PinLost, drop_expired_pins, oldest_pin, release_pin, renew_pin, set_pin

pytest_plugins = ["tests.factories.engines"]
HOUR = timedelta(hours=1)


async def _pass(engine: Engine, time: timedelta) -> None:
    """Let time pass for everything that a pin and a condemned pack know of time."""
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack).where(Pack.condemned_at.is_not(None))):
            assert pack.condemned_at is not None
            pack.condemned_at -= time
        for pin in await session.scalars(select(Pin)):
            pin.since, pin.expires_at = pin.since - time, pin.expires_at - time


async def _condemned(engine: Engine) -> int:
    async with engine.database.read() as session:
        return len((await session.scalars(select(Pack.id).where(Pack.state == PackState.CONDEMNED))).all())


async def _pusher(engine: Engine) -> SmallPusher:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(3)
    return pusher


async def test_packs_condemned_after_the_pin_stay_until_it_is_released(engine: Engine) -> None:
    pusher = await _pusher(engine)
    pin = await set_pin(engine.database, "test", lifetime=timedelta(days=3))
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    await _pass(engine, timedelta(days=2))
    assert (await delete_condemned(engine.database, engine.storage)).packs == 0
    assert await _condemned(engine) == 3
    await release_pin(engine.database, pin)
    await release_pin(engine.database, pin)
    assert (await delete_condemned(engine.database, engine.storage)).packs == 3


async def test_packs_condemned_long_before_the_pin_go(engine: Engine) -> None:
    pusher = await _pusher(engine)
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    await _pass(engine, timedelta(hours=5))
    await set_pin(engine.database, "test", lifetime=timedelta(days=3))
    await _pass(engine, timedelta(hours=2))
    assert (await delete_condemned(engine.database, engine.storage)).packs == 3


async def test_a_pack_whose_condemnation_was_not_committed_when_the_pin_was_set_is_spared(engine: Engine) -> None:
    pusher = await _pusher(engine)
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    await _pass(engine, LOOK_BACK / 2)  # the transaction took its time before the pin, and its commit came after
    await set_pin(engine.database, "test", lifetime=timedelta(days=3))
    await _pass(engine, timedelta(days=1))
    assert (await delete_condemned(engine.database, engine.storage)).packs == 0


async def test_a_pin_that_nobody_renews_expires_and_cannot_be_renewed_any_more(engine: Engine) -> None:
    pusher = await _pusher(engine)
    pin = await set_pin(engine.database, "test", lifetime=HOUR)
    await _pass(engine, HOUR / 2)
    await renew_pin(engine.database, pin, lifetime=HOUR)
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    async with engine.database.read() as session:
        assert await oldest_pin(session) is not None
    await _pass(engine, timedelta(hours=7))
    async with engine.database.write() as session:
        assert await oldest_pin(session) is None
    with pytest.raises(PinLost):
        await renew_pin(engine.database, pin, lifetime=HOUR)
    assert (await delete_condemned(engine.database, engine.storage)).packs == 3
    async with engine.database.write() as session:
        await drop_expired_pins(session)
        assert (await session.scalars(select(Pin))).all() == []


async def test_two_pins_hold_as_long_as_one_of_them_stands(engine: Engine) -> None:
    pusher = await _pusher(engine)
    first = await set_pin(engine.database, "first", lifetime=timedelta(days=3))
    await set_pin(engine.database, "second", lifetime=timedelta(days=3))
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    await _pass(engine, timedelta(days=1))
    await release_pin(engine.database, first)
    assert (await delete_condemned(engine.database, engine.storage)).packs == 0
