"""A node forgets what was purged: its packs, the views that link them, and every answer from before."""

import asyncio
from datetime import timedelta

from sqlalchemy import update
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.git.engine import Engine
from cairn.git.manifest import read_manifest
from cairn.git.models import PurgedPack
from cairn.git.node_purges import NodePurges

pytest_plugins = ["tests.factories.engines"]


async def test_packs_views_and_answers_go_but_not_from_under_a_reader(engine: Engine) -> None:
    purged, other = SmallPusher(engine, await make_store(engine)), SmallPusher(engine, await make_store(engine))
    await purged.push()
    await other.push()
    _, [pack] = await read_manifest(engine.database, purged.store)
    answer = engine.cache.root / "fetch" / ("0" * 64)
    answer.write_bytes(b"0000")
    purges = NodePurges(engine.database, engine.cache, engine.answers)
    assert await purges.hear() == 0
    assert answer.exists()
    async with (
        engine.view(await engine.state(other.store)) as kept,
        engine.view(await engine.state(purged.store)) as used,
    ):
        async with engine.database.write() as session:
            session.add(
                PurgedPack(store_id=purged.store, pack_id=pack.id, key=pack.key, at=await engine.database.now())
            )
        assert await purges.hear() == 1
        assert not answer.exists()
        assert not (engine.cache.root / "packs" / pack.id).exists()
        assert (used.objects / "pack" / f"pack-{pack.id}.pack").exists()
    await asyncio.to_thread(answer.write_bytes, b"0000")
    assert await purges.hear() == 0
    assert not used.path.exists()
    assert kept.path.exists()
    assert answer.exists(), "what came after the purge stays"


async def test_a_purge_of_long_ago_is_no_news(engine: Engine) -> None:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push()
    async with engine.database.write() as session:
        now = await engine.database.now()
        session.add(PurgedPack(store_id=pusher.store, pack_id="a" * 32, key="packs/1/a", at=now))
    purges = NodePurges(engine.database, engine.cache, engine.answers)
    assert await purges.hear() == 1
    async with engine.database.write() as session:
        await session.execute(update(PurgedPack).values(at=now - timedelta(days=2)))
    assert await purges.hear() == 0
