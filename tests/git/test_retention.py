"""Old rows go, younger ones stay, in stores of any number."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.factories.pushes import make_store, refs_of
from tests.factories.small_pushes import SmallPusher

from cairn.git import retention
from cairn.git.engine import Engine
from cairn.git.models import Push, RefLog
from cairn.git.retention import PUSHES_KEPT, REF_LOG_KEPT, expire_rows

pytest_plugins = ["tests.factories.engines"]


async def _age(engine: Engine, by: timedelta) -> None:
    async with engine.database.write() as session:
        for push in await session.scalars(select(Push)):
            push.at -= by
        for line in await session.scalars(select(RefLog)):
            line.at -= by


async def test_pushes_go_after_30_days_and_the_ref_log_after_90(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    monkeypatch.setattr(retention, "STORES_A_TURN", 1)
    pushers = [SmallPusher(engine, await make_store(engine)) for _ in range(3)]
    for pusher in pushers:
        await pusher.push_many(3)
    await _age(engine, PUSHES_KEPT - timedelta(minutes=1))
    assert await expire_rows(engine.database) == (0, 0)
    for pusher in pushers:
        await pusher.push()
    await _age(engine, timedelta(minutes=2))
    assert await expire_rows(engine.database) == (9, 0)
    await _age(engine, REF_LOG_KEPT - PUSHES_KEPT)
    assert await expire_rows(engine.database) == (3, 9)
    async with engine.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(RefLog)) == 3
    for pusher in pushers:
        assert await refs_of(engine, pusher.store) == pusher.refs


def test_the_ref_log_outlives_what_rule_c_honours() -> None:
    assert timedelta(days=14, hours=2) < REF_LOG_KEPT
