"""The parts that compaction, collection and purges share; the whole swaps are tested there."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.git.engine import Engine
from cairn.git.models import PackState
from cairn.git.pack_swap import PacksReplaced, link_packs, packs_in, read_own_packs, swap_packs, write_pack
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import open_quarantine

pytest_plugins = ["tests.factories.engines"]


async def test_a_written_pack_has_what_was_asked_for_and_leaves_out_what_is_kept(engine: Engine) -> None:
    pusher = SmallPusher(engine, await make_store(engine))
    first = await pusher.push()
    second = await pusher.push()
    own = sorted(await read_own_packs(engine.database, pusher.store), key=lambda pack: pack.created_at)
    async with (
        engine.view(await engine.state(pusher.store)) as view,
        open_quarantine(engine.cache.quarantines) as quarantine,
    ):
        assert await asyncio.to_thread(packs_in, view) == {pack.id for pack in own}
        link_packs(view, quarantine, [own[1].id])
        link_packs(view, quarantine, [own[0].id], is_kept=True)
        options = ("--revs", "--honor-pack-keep")
        written = await write_pack(engine.runner, quarantine, "new", options, f"{second}\n".encode())
        assert written is not None
        with PackIndex.open(written.path_idx) as index:
            assert len(index) == 3
            assert second in index
            assert first not in index
        assert await write_pack(engine.runner, quarantine, "none", options, f"{first}\n".encode()) is None
        with pytest.raises(PacksReplaced):
            link_packs(view, quarantine, ["0" * 32])


async def test_a_swap_of_what_is_not_named_replaces_nothing(engine: Engine, tmp_path: Path) -> None:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(2)
    [one, other] = await read_own_packs(engine.database, pusher.store)
    with pytest.raises(PacksReplaced):
        async with engine.database.write() as session:
            await swap_packs(session, pusher.store, [one.id, "0" * 32], None)
    assert len(await read_own_packs(engine.database, pusher.store)) == 2
    async with engine.database.write() as session:
        store, _ = await swap_packs(session, pusher.store, [one.id], None)
        assert store.manifest_version == 3
    assert [pack.id for pack in await read_own_packs(engine.database, pusher.store)] == [other.id]
    async with engine.database.read() as session:
        found = await session.get_one(type(one), (pusher.store, one.id))
    assert (found.state, found.condemned_at is None) == (PackState.CONDEMNED, False)
