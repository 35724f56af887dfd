"""G1: pushes, deletions, forced pushes, compaction, collection and sweepers in any order lose nothing.

Time is virtual: rows become older, so that fortnights pass between two steps. Prints its seed.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select, update
from tests.factories.passing_time import let_pass
from tests.factories.pushes import EMPTY_PACK, MAIN, make_store, pieces, push, verdict
from tests.factories.seeds import chosen_seed
from tests.factories.small_pushes import SmallPusher

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.collection import collect
from cairn.git.compaction import compact_once, find_crowded
from cairn.git.condemned_packs import delete_condemned
from cairn.git.doctor import examine
from cairn.git.engine import Engine, open_engine
from cairn.git.models import Pack, Push, RefLog, Upload
from cairn.git.pack_swap import PacksReplaced
from cairn.git.ref_queries import ROOTS_KEPT
from cairn.git.ref_transaction import RefUpdate
from cairn.git.retention import expire_rows
from cairn.git.staging import push_limits
from cairn.git.types import ZERO_OID, Oid
from cairn.git.undo_packs import UNDO_KEPT, expire_undo_packs
from cairn.git.upload_sweeper import sweep_uploads
from cairn.storage.storage import open_storage

pytest_plugins = ["tests.factories.engines"]

CHECKED_EVERY = 20
BRANCHES = [MAIN, *(b"refs/heads/side-%d" % number for number in range(4))]


class Life:
    """One store and everything that may happen to it; ``pusher.refs`` is what was acknowledged."""

    def __init__(self, engine: Engine, store: int, seed: int) -> None:
        self.engine = engine
        self.store = store
        self.choices = Random(seed)
        self.pusher = SmallPusher(engine, store, choices=Random(seed + 1))
        self.compacted = self.collected = self.returned = 0
        self.let_go: list[Oid] = []

    async def step(self) -> None:
        """Let one thing happen, or two at a time."""
        happenings = [self.push, self.push, self.push, self.force, self.delete, self.give_up, self.compact, self.sweep]
        happenings += [self.collect, self.return_to_old, self.wait]
        first = self.choices.choice(happenings)
        # Never two changes of refs at once: which of them is acknowledged would be anybody's guess.
        beside = [one for one in (self.compact, self.sweep, self.give_up, self.collect) if one != first]
        together = [first, self.choices.choice(beside)] if self.choices.random() < 0.4 else [first]
        await asyncio.gather(*(one() for one in together))

    async def push(self) -> None:
        await self.pusher.push(self.choices.choice(BRANCHES))

    async def force(self) -> None:
        name = self.choices.choice(BRANCHES)
        self.let_go += [self.pusher.refs[name]] if name in self.pusher.refs else []
        await self.pusher.push(name, is_forced=True)

    async def delete(self) -> None:
        if self.pusher.refs:
            name = self.choices.choice(sorted(self.pusher.refs))
            self.let_go.append(self.pusher.refs[name])
            await self.pusher.delete(name)

    async def give_up(self) -> None:
        """Upload a push and never land it; its time is over at once."""
        new, pack = self.pusher.make(None)
        staged = await self.engine.stager.stage_push(
            await self.engine.state(self.store),
            [RefUpdate(b"refs/heads/never", ZERO_OID, new)],
            pieces(pack),
            limits=push_limits(self.engine.settings, is_first=False),
            is_atomic=False,
        )
        assert staged.pack is not None
        async with self.engine.database.write() as session:
            row = await session.get_one(Upload, (self.store, staged.pack.id))
            row.expires_at -= timedelta(days=self.choices.choice([1, 3]))

    async def compact(self) -> None:
        # Beside a collection one of the two is faster.
        with suppress(PacksReplaced):
            done = await compact_once(self.engine, self.store, packs_max=2)
            self.compacted += done is not None

    async def collect(self) -> None:
        with suppress(PacksReplaced):
            done = await collect(self.engine, self.store)
            self.collected += done.dropped > 0

    async def wait(self) -> None:
        """Let days pass: old values of refs stop being roots, sometimes just now."""
        await let_pass(self.engine.database, timedelta(days=self.choices.choice([1, 5, 14]), hours=2))

    async def return_to_old(self) -> None:
        """Make a branch at a value that some ref once had, without sending an object: taken for 14 days, not later."""
        if not self.let_go:
            return
        name, old = b"refs/heads/back", self.choices.choice(self.let_go)
        before = self.pusher.refs.get(name, ZERO_OID)
        if before == old:
            return
        report = await push(self.engine, self.store, [(name, before, old)], EMPTY_PACK)
        if report.is_ok:
            self.pusher.refs[name] = old
            self.returned += 1
        else:
            assert "is missing, fetch and push again" in report.unpacked, report

    async def sweep(self) -> None:
        """Let seven hours pass for what waits to be deleted, then delete it."""
        async with self.engine.database.write() as session:
            for pack in await session.scalars(select(Pack).where(Pack.condemned_at.is_not(None))):
                assert pack.condemned_at is not None
                pack.condemned_at -= timedelta(hours=7)
        await expire_undo_packs(self.engine.database, self.engine.storage)
        await sweep_uploads(self.engine.database, self.engine.storage)
        await delete_condemned(self.engine.database, self.engine.storage)

    async def check(self, folder: Path) -> None:
        """Hold tables, bucket, closure and what was acknowledged against each other."""
        assert await verdict(self.engine, self.store, folder) == self.pusher.refs
        # What only waits for the sweeper is no damage.
        assert [found for found in await examine(self.engine, self.store) if not found.is_mendable] == []


@pytest.mark.parametrize("steps", [60, pytest.param(2000, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])])
async def test_nothing_is_lost_whatever_the_order(engine: Engine, steps: int, tmp_path: Path) -> None:
    life = Life(engine, await make_store(engine), chosen_seed())
    for number in range(1, steps + 1):
        await life.step()
        if number % CHECKED_EVERY == 0:
            await life.check(tmp_path / str(number))
    print(f"compacted {life.compacted}, collected {life.collected}, returned {life.returned}")
    assert life.compacted >= steps // 100
    assert life.collected >= steps // 100
    # When every old value has stopped being a root, exactly what the refs reach is left.
    await let_pass(engine.database, ROOTS_KEPT + UNDO_KEPT)
    await life.collect()
    await life.sweep()
    await life.check(tmp_path / "end")
    assert await examine(engine, life.store) == []
    async with engine.database.read() as session:
        packs = list(await session.scalars(select(Pack.id).where(Pack.store_id == life.store)))
    assert len([found async for found in engine.storage.list(f"packs/{life.store}/")]) == 2 * len(packs)


async def test_the_whole_of_maintenance_runs_on_each_database(any_database: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, any_database, open_storage(settings)) as engine:
        life = Life(engine, await make_store(engine), seed=7)
        await life.pusher.push_many(4)
        await life.pusher.push(is_forced=True)
        await life.pusher.push(BRANCHES[1])
        await life.pusher.delete(BRANCHES[1])
        await life.give_up()
        await life.compact()
        assert life.compacted == 1
        await life.sweep()
        assert await expire_rows(any_database) == (0, 0)
        async with any_database.write() as session:
            await session.execute(update(Push).values(at=datetime(2020, 1, 1, tzinfo=UTC)))
            await session.execute(update(RefLog).values(at=datetime(2020, 1, 1, tzinfo=UTC)))
        assert await expire_rows(any_database) == (7, 7)
        assert await find_crowded(any_database, pushed_within=timedelta(minutes=15)) == []
        assert await examine(engine, life.store) == []
        assert len([found async for found in engine.storage.list(f"packs/{life.store}/")]) == 2
        assert await verdict(engine, life.store, tmp_path / "after") == life.pusher.refs
