"""Collection drops what no root reaches and nothing else, swaps all or nothing, and lets pushes go on meanwhile."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.git_repositories import StockRepository, init
from tests.factories.passing_time import let_pass
from tests.factories.pushes import (
    EMPTY_PACK,
    MAIN,
    allow,
    make_store,
    pieces,
    push,
    push_commit,
    verdict,
)
from tests.factories.small_pushes import SmallPusher

from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git import collection, fail_points
from cairn.git.collection import Collected, collect, find_collectable
from cairn.git.compaction import compact_once
from cairn.git.doctor import examine
from cairn.git.engine import Engine, open_engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.landing import PlanTooOld
from cairn.git.manifest import read_manifest
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState, Ref, Store
from cairn.git.pack_swap import PacksReplaced
from cairn.git.ref_queries import PLAN_LIFETIME, RETENTION, ROOTS_KEPT, retained_roots
from cairn.git.ref_transaction import RefUpdate
from cairn.git.runner import GitFailed
from cairn.git.staging import push_limits
from cairn.git.types import ZERO_OID, Oid
from cairn.git.undo_packs import list_undo_packs
from cairn.git.upload_sweeper import sweep_uploads
from cairn.storage.storage import open_storage

pytest_plugins = ["tests.factories.engines"]

STEPS = [
    Step.COLLECTION_PACKED,
    Step.AFTER_UPLOAD_ROW,
    Step.BETWEEN_PACK_AND_INDEX,
    Step.AFTER_PACK,
    Step.COLLECTION_UPLOADED,
    Step.COLLECTION_BEFORE_COMMIT,
    Step.COLLECTION_AFTER_COMMIT,
]
LONG = ROOTS_KEPT + timedelta(minutes=1)
SIDE = b"refs/heads/side"

CHILD = """
import asyncio, os, sys
from cairn.base.settings import load_settings
from cairn.db.database import open_database
from cairn.git.collection import collect
from cairn.git.engine import open_engine
from cairn.storage.storage import open_storage

async def main():
    settings = load_settings(os.environ)
    database = open_database(settings.effective_database_url, pool_size=2)
    async with open_engine(settings, database, open_storage(settings)) as engine:
        await collect(engine, int(sys.argv[1]))

asyncio.run(main())
"""


async def objects_of(engine: Engine, store: int) -> set[str]:
    async with engine.view(await engine.state(store)) as view:
        listed = await asyncio.to_thread(
            StockRepository(view.path).git, "cat-file", "--batch-check=%(objectname)", "--batch-all-objects"
        )
    return set(listed.decode().split())


async def pack_ids(engine: Engine, store: int) -> set[str]:
    return {pack.id for pack in (await read_manifest(engine.database, store))[1]}


async def make_garbage(engine: Engine) -> SmallPusher:
    """Three commits on main; a forced push away from them; a branch of two that was deleted: 15 objects to drop."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(3)
    await pusher.push(is_forced=True)
    await pusher.push(SIDE)
    await pusher.push(SIDE)
    await pusher.delete(SIDE)
    return pusher


async def test_what_lost_its_last_root_long_ago_goes_and_the_rest_stays(engine: Engine, tmp_path: Path) -> None:
    pusher = await make_garbage(engine)
    await pusher.push()
    kept = {"main": pusher.refs[MAIN]}
    await let_pass(engine.database, LONG)
    await pusher.push()
    old = await pack_ids(engine, pusher.store)
    assert await collect(engine, pusher.store) == Collected(kept=9, dropped=15)
    assert len(await objects_of(engine, pusher.store)) == 9
    assert kept["main"] in await objects_of(engine, pusher.store)
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs
    [undo] = await list_undo_packs(engine.database, pusher.store)
    assert undo.objects == 15
    assert await engine.storage.exists(f"{undo.key}.pack")
    async with engine.database.read() as session:
        packs = await session.scalars(select(Pack).where(Pack.state == PackState.CONDEMNED))
        assert {pack.id for pack in packs} == old
    assert await examine(engine, pusher.store) == []
    assert await collect(engine, pusher.store) == Collected(kept=0, dropped=0)


async def test_values_of_the_last_fortnight_and_pins_are_roots(engine: Engine) -> None:
    pusher = await make_garbage(engine)
    await let_pass(engine.database, RETENTION + 2 * PLAN_LIFETIME - timedelta(minutes=1))
    before = await objects_of(engine, pusher.store)
    assert (await collect(engine, pusher.store)).dropped == 0
    assert await objects_of(engine, pusher.store) == before
    await let_pass(engine.database, timedelta(minutes=2))
    pinned = Oid(min(before - {pusher.refs[MAIN]}))
    # The pin alone: whatever it reaches stays, which is at least itself.
    done = await collect(engine, pusher.store, pins=[pinned])
    assert 0 < done.dropped < 15
    assert pinned in await objects_of(engine, pusher.store)


async def test_plain_pushes_leave_no_root_and_no_work_behind(engine: Engine) -> None:
    """The roots of a store do not grow with its pushes, and nobody looks at it."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(6)
    await let_pass(engine.database, LONG)
    assert await find_collectable(engine.database) == []
    async with engine.database.read() as session:
        state = await engine.state(pusher.store)
        tips = (await engine.snapshot(state)).tips
        assert await retained_roots(session, state, tips, kept=timedelta(days=365)) == sorted(tips)


async def test_a_store_is_found_once_its_old_values_are_old_and_not_again(engine: Engine) -> None:
    pusher = await make_garbage(engine)
    assert await find_collectable(engine.database) == []
    await let_pass(engine.database, LONG)
    assert await find_collectable(engine.database) == [pusher.store]
    await pusher.push(is_forced=True)
    await collect(engine, pusher.store)
    assert await find_collectable(engine.database) == []
    # The value that was forced away just now has its fortnight.
    await let_pass(engine.database, RETENTION)
    assert await find_collectable(engine.database) == []
    await let_pass(engine.database, timedelta(hours=3))
    assert await find_collectable(engine.database) == [pusher.store]
    await collect(engine, pusher.store)
    async with engine.database.read() as session:
        assert (await session.get_one(Store, pusher.store)).collect_after is None


async def test_a_store_without_refs_ends_without_packs(engine: Engine) -> None:
    pusher = await make_garbage(engine)
    await pusher.delete(MAIN)
    await let_pass(engine.database, LONG)
    assert await collect(engine, pusher.store) == Collected(kept=0, dropped=18)
    assert await pack_ids(engine, pusher.store) == set()
    assert await examine(engine, pusher.store) == []


async def test_deltas_against_dropped_objects_survive(engine: Engine, tmp_path: Path) -> None:
    """What stays was pushed thin, as deltas upon what goes."""
    client, store = init(tmp_path / "client"), await make_store(engine)
    lines = [f"line {number * number}\n" for number in range(2000)]
    first = client.commit({"file.txt": "".join(lines)})
    assert (await push_commit(engine, store, client)).is_ok
    lines[1000] = "changed\n"
    client.git("checkout", "-q", "--orphan", "other")
    second = client.commit({"file.txt": "".join(lines)}, "rewritten")
    pack = client.pack([second], without=[first], thin=True)
    assert (await push(engine, store, [(MAIN, first, second)], pack)).is_ok
    await let_pass(engine.database, LONG)
    assert (await collect(engine, store)).dropped == 3
    assert await verdict(engine, store, tmp_path / "after") == {MAIN: second}


async def test_a_plan_that_was_checked_in_time_lands_after_the_collection(engine: Engine, tmp_path: Path) -> None:
    """Rules A, B and C at their edge: what a push relies on was let go 14 days ago, it lands an hour later."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(2)
    old = pusher.refs[MAIN]
    await pusher.push(is_forced=True)
    await let_pass(engine.database, RETENTION - timedelta(minutes=1))
    new, pack = pusher.make(old)
    staged = await engine.stager.stage_push(
        await engine.state(pusher.store),
        [RefUpdate(SIDE, ZERO_OID, new)],
        pieces(pack),
        limits=push_limits(engine.settings, is_first=False),
        is_atomic=False,
    )
    almost = PLAN_LIFETIME - timedelta(minutes=1)
    await let_pass(engine.database, almost)
    object.__setattr__(staged, "checked_at", staged.checked_at - almost)
    assert (await collect(engine, pusher.store)).dropped == 0
    [outcome] = await engine.land(staged, push_id=random_id(), actor="tester", within=allow)
    assert outcome.refusal == ""
    assert (await verdict(engine, pusher.store, tmp_path / "after"))[SIDE] == new


async def test_a_push_may_not_rely_on_what_collection_may_drop(engine: Engine) -> None:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(2)
    old = pusher.refs[MAIN]
    await pusher.push(is_forced=True)
    new, pack = pusher.make(old)
    staged = await engine.stager.stage_push(
        await engine.state(pusher.store),
        [RefUpdate(SIDE, ZERO_OID, new)],
        pieces(pack),
        limits=push_limits(engine.settings, is_first=False),
        is_atomic=False,
    )
    await let_pass(engine.database, RETENTION + timedelta(minutes=1))
    for commands, sent in (([(SIDE, ZERO_OID, new)], pack), ([(SIDE, ZERO_OID, old)], EMPTY_PACK)):
        report = await push(engine, pusher.store, commands, sent)
        assert "is missing, fetch and push again" in report.unpacked + "".join(report.refs.values()), report
    object.__setattr__(staged, "checked_at", staged.checked_at - RETENTION)
    with pytest.raises(PlanTooOld):
        await engine.land(staged, push_id=random_id(), actor="tester", within=allow)


async def test_pushes_meanwhile_stay(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G2's twenty pushes, some between the reading of packs and of refs, some before the swap."""
    pusher = await make_garbage(engine)
    await let_pass(engine.database, LONG)
    read = retained_roots

    async def push_then_read(*arguments: object, **options: object) -> list[Oid]:
        await pusher.push_branches(10)
        return await read(*arguments, **options)  # type: ignore[arg-type]

    async def push_now(step: Step) -> None:
        if step is Step.COLLECTION_UPLOADED:
            for _ in range(5):
                await pusher.push()
            for number in range(5):
                await pusher.push(b"refs/heads/side-%d" % number, is_forced=True)

    monkeypatch.setattr(collection, "retained_roots", push_then_read)
    monkeypatch.setattr(collection, "fail_point", push_now)
    assert (await collect(engine, pusher.store)).dropped == 15
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs
    assert await examine(engine, pusher.store) == []


async def test_a_compaction_meanwhile_wins_and_a_deleted_store_stays_deleted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher = await make_garbage(engine)
    await let_pass(engine.database, LONG)

    async def compact_now(step: Step) -> None:
        if step is Step.COLLECTION_PACKED:
            await compact_once(engine, pusher.store, packs_max=2)

    monkeypatch.setattr(collection, "fail_point", compact_now)
    with pytest.raises(PacksReplaced):
        await collect(engine, pusher.store)

    async def delete_now(step: Step) -> None:
        if step is Step.COLLECTION_PACKED:
            async with engine.database.write() as session:
                await engine.delete_store(session, pusher.store)

    monkeypatch.setattr(collection, "fail_point", delete_now)
    with pytest.raises(PacksReplaced):
        await collect(engine, pusher.store)
    assert await pack_ids(engine, pusher.store) == set()
    assert await list_undo_packs(engine.database, pusher.store) == []


async def test_base_packs_and_packs_of_other_stores_stay_whole(engine: Engine, tmp_path: Path) -> None:
    pusher = await make_garbage(engine)
    fork = await make_store(engine)
    async with engine.database.write() as session:
        entries = list(await session.scalars(select(ManifestEntry).where(ManifestEntry.store_id == pusher.store)))
        entries[0].kind = ManifestKind.BASE
        for entry in entries:
            session.add(
                ManifestEntry(store_id=fork, pack_store_id=pusher.store, pack_id=entry.pack_id, kind=ManifestKind.BASE)
            )
        (await session.get_one(Store, fork)).manifest_version += 1
    before = await objects_of(engine, fork)
    await let_pass(engine.database, LONG)
    assert (await collect(engine, fork)).dropped == 0
    assert 9 <= (await collect(engine, pusher.store)).dropped <= 15
    assert entries[0].pack_id in await pack_ids(engine, pusher.store)
    assert await objects_of(engine, fork) == before
    async with engine.database.read() as session:
        states = set(await session.scalars(select(Pack.state).where(Pack.store_id == pusher.store)))
    assert states == {PackState.LIVE}, "the fork still names each of them"
    folder = tmp_path / "after"
    folder.mkdir()
    assert await verdict(engine, pusher.store, folder) == pusher.refs


async def test_a_damaged_store_loses_nothing_more(engine: Engine) -> None:
    """An object that a ref reaches is gone: nothing is dropped until somebody has looked."""
    pusher = await make_garbage(engine)
    tree_like = Oid("12" * 20)
    async with engine.database.write() as session:
        await session.execute(update(Store).where(Store.id == pusher.store).values(ref_version=Store.ref_version + 1))
        session.add(Ref(store_id=pusher.store, name=b"refs/heads/lost", oid=tree_like))
    await let_pass(engine.database, LONG)
    old = await pack_ids(engine, pusher.store)
    with pytest.raises(GitFailed):
        await collect(engine, pusher.store)
    assert await pack_ids(engine, pusher.store) == old


async def test_a_worker_that_lost_its_lease_changes_nothing(engine: Engine) -> None:
    pusher = await make_garbage(engine)
    await let_pass(engine.database, LONG)
    old = await pack_ids(engine, pusher.store)

    async def refuse(session: AsyncSession) -> None:
        raise LookupError("the lease is lost")

    with pytest.raises(LookupError):
        await collect(engine, pusher.store, within=refuse)
    assert await pack_ids(engine, pusher.store) == old
    assert await find_collectable(engine.database) == [pusher.store]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.value)
async def test_a_failure_at_each_step_leaves_the_old_manifest_or_the_new(
    engine: Engine, tmp_path: Path, step: Step
) -> None:
    """G2 in process; what is left behind is swept, and the next attempt does the work."""
    pusher = await make_garbage(engine)
    await let_pass(engine.database, LONG)
    old = await pack_ids(engine, pusher.store)
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises((FailPointError, ExceptionGroup)):
            await collect(engine, pusher.store)
    finally:
        fail_points.configure([])
    is_done = step is Step.COLLECTION_AFTER_COMMIT
    assert (await pack_ids(engine, pusher.store) == old) is not is_done
    assert await verdict(engine, pusher.store, tmp_path / "between") == pusher.refs
    await let_pass(engine.database, timedelta(hours=3))
    await sweep_uploads(engine.database, engine.storage)
    await collect(engine, pusher.store)
    assert len(await objects_of(engine, pusher.store)) == 3
    assert await examine(engine, pusher.store) == []
    undo = await list_undo_packs(engine.database, pusher.store)
    keys = {found.key async for found in engine.storage.list(f"undo/{pusher.store}/")}
    assert keys == {f"{pack.key}.{ending}" for pack in undo for ending in ("pack", "idx")}


@pytest.mark.parametrize("step", [Step.COLLECTION_BEFORE_COMMIT, Step.COLLECTION_AFTER_COMMIT], ids=lambda s: s.value)
async def test_sigkill_leaves_the_old_manifest_or_the_new(engine: Engine, database_url: str, step: Step) -> None:
    pusher = await make_garbage(engine)
    await let_pass(engine.database, LONG)
    old = await pack_ids(engine, pusher.store)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")} | {
        "CAIRN_DATA_DIR": str(engine.settings.data_dir),
        "CAIRN_DATABASE_URL": database_url,
        "CAIRN_FAIL_POINTS": f"{step.value}=kill",
    }
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", CHILD, str(pusher.store)], env=environ, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (await pack_ids(engine, pusher.store) == old) is (step is Step.COLLECTION_BEFORE_COMMIT)
    assert [found for found in await examine(engine, pusher.store) if not found.is_mendable] == []


async def test_collection_works_on_each_database(any_database: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, any_database, open_storage(settings)) as engine:
        pusher = await make_garbage(engine)
        await let_pass(any_database, LONG)
        assert await find_collectable(any_database) == [pusher.store]
        assert (await collect(engine, pusher.store)).dropped == 15
        assert await find_collectable(any_database) == []
        assert await examine(engine, pusher.store) == []
