"""Compaction loses nothing, replaces all or nothing, and lets pushes and clones go on meanwhile."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import (
    MAIN,
    allow,
    check_bucket,
    fresh_clone,
    make_store,
    pieces,
    push,
    push_commit,
    refs_of,
    verdict,
)
from tests.factories.small_pushes import SmallPusher

from cairn.base.ids import random_id
from cairn.db.database import Database
from cairn.git import compaction, fail_points
from cairn.git.compaction import SourcePack, choose_packs, compact, compact_once, find_crowded
from cairn.git.condemned_packs import delete_condemned
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.fetch_cache import Flight
from cairn.git.manifest import read_manifest
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState, Upload, UploadState
from cairn.git.pack_files import UploadExpired
from cairn.git.pack_swap import PacksReplaced
from cairn.git.pktline import PktReader
from cairn.git.ref_transaction import RefUpdate
from cairn.git.staging import push_limits
from cairn.git.types import ZERO_OID
from cairn.git.upload_pack import V2Request
from cairn.git.upload_sweeper import sweep_uploads

pytest_plugins = ["tests.factories.engines"]

BEFORE_THE_SWAP = [
    Step.COMPACTION_PACKED,
    Step.AFTER_UPLOAD_ROW,
    Step.BETWEEN_PACK_AND_INDEX,
    Step.AFTER_PACK,
    Step.COMPACTION_BEFORE_COMMIT,
]
STEPS = [*BEFORE_THE_SWAP, Step.COMPACTION_AFTER_COMMIT]

CHILD = """
import asyncio, sys
from cairn.base.settings import load_settings
from cairn.db.database import open_database
from cairn.git.compaction import compact_once
from cairn.git.engine import open_engine
from cairn.storage.storage import open_storage
import os

async def main():
    settings = load_settings(os.environ)
    database = open_database(settings.effective_database_url, pool_size=2)
    async with open_engine(settings, database, open_storage(settings)) as engine:
        await compact_once(engine, int(sys.argv[1]), packs_max=2)

asyncio.run(main())
"""


async def pack_ids(engine: Engine, store: int) -> set[str]:
    return {pack.id for pack in (await read_manifest(engine.database, store))[1]}


async def objects_of(engine: Engine, store: int) -> set[bytes]:
    """Return every object of the store with its kind and size, reachable or not."""
    async with engine.view(await engine.state(store)) as view:
        listed = await asyncio.to_thread(
            StockRepository(view.path).git, "cat-file", "--batch-check", "--batch-all-objects"
        )
    return set(listed.splitlines())


async def make_pushed(engine: Engine, pushes: int) -> SmallPusher:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(pushes)
    return pusher


def sizes(*objects: int) -> list[SourcePack]:
    return [SourcePack(f"{place:032x}", count, 100 * count) for place, count in enumerate(objects)]


@pytest.mark.parametrize(
    ("packs", "chosen"),
    [
        ([], 0),
        ([5], 0),
        ([1, 2, 4, 8, 16], 0),
        ([3, 3], 2),
        ([3, 3, 3, 100], 3),
        ([3, 3, 3, 10], 4),
        ([1, 2, 4, 8, 9, 100, 200, 1000], 5),
        ([1, 1, 4, 8, 16, 1000], 2),
    ],
)
def test_the_smallest_packs_are_chosen_until_the_rest_grows_geometrically(packs: list[int], chosen: int) -> None:
    shuffled = sizes(*packs)
    Random(4).shuffle(shuffled)
    found = choose_packs(shuffled)
    assert [pack.objects for pack in found] == sorted(packs)[:chosen]
    rest = sorted([*packs[chosen:], sum(packs[:chosen])] if chosen else packs)
    assert all(larger >= 2 * smaller for smaller, larger in pairwise(rest))


def test_a_step_has_a_bound_in_packs_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "PACKS_AT_ONCE", 4)
    assert len(choose_packs(sizes(*[3] * 9))) == 4
    monkeypatch.setattr(compaction, "BYTES_AT_ONCE", 700)
    assert len(choose_packs(sizes(*[3] * 9))) == 2
    monkeypatch.setattr(compaction, "BYTES_AT_ONCE", 500)
    assert choose_packs(sizes(*[3] * 9)) == []


def test_the_cost_of_many_pushes_grows_with_the_logarithm() -> None:
    """2,000 pushes of one object each: at most 40 packs ever, each object rewritten a few times."""
    packs: list[SourcePack] = []
    rewritten = 0
    for number in range(2000):
        packs.append(SourcePack(f"p{number}", 1, 1))
        if len(packs) >= compaction.PACKS_MAX:
            chosen = choose_packs(packs)
            assert len(chosen) > 1
            packs = [pack for pack in packs if pack not in chosen]
            total = sum(pack.objects for pack in chosen)
            packs.append(SourcePack(f"c{number}", total, total))
            rewritten += total
        assert len(packs) <= compaction.PACKS_MAX
    assert sum(pack.objects for pack in packs) == 2000
    assert rewritten < 2000 * 8


async def test_a_compacted_store_has_the_same_objects_in_one_pack(engine: Engine, tmp_path: Path) -> None:
    pusher = await make_pushed(engine, 6)
    await pusher.push(is_forced=True)  # what the old history holds is kept: nobody asked for a collection
    before, old = await objects_of(engine, pusher.store), await pack_ids(engine, pusher.store)
    done = await compact_once(engine, pusher.store, packs_max=2)
    assert done is not None
    assert (done.packs, done.objects) == (7, 21)
    assert await objects_of(engine, pusher.store) == before
    [new] = await pack_ids(engine, pusher.store)
    assert new not in old
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs
    async with engine.database.read() as session:
        entry = (await session.scalars(select(ManifestEntry).where(ManifestEntry.store_id == pusher.store))).one()
        assert entry.kind == ManifestKind.COMPACTED
        packs = {pack.id: pack for pack in await session.scalars(select(Pack).where(Pack.store_id == pusher.store))}
    assert {pack.id for pack in packs.values() if pack.state == PackState.CONDEMNED} == old
    assert all((pack.condemned_at is None) == (pack.id == new) for pack in packs.values())


async def test_deltas_tags_and_histories_of_several_roots_survive(engine: Engine, tmp_path: Path) -> None:
    """Pushed as stock git does, thin: each pack repeats the bases it was sent without."""
    client, store = init(tmp_path / "client"), await make_store(engine)
    lines = [f"line {number} {Random(number).random()}\n" for number in range(2000)]
    for number in range(6):
        lines[number * 300] = f"changed {number}\n"
        client.commit({"deep/er/file.txt": "".join(lines)}, f"change {number}")
        assert (await push_commit(engine, store, client, thin=True)).is_ok
    client.git("tag", "-a", "-m", "first", "v1")
    tag = client.oid("v1")
    assert (await push(engine, store, [(b"refs/tags/v1", ZERO_OID, tag)], client.pack([tag], without=["HEAD"]))).is_ok
    client.git("checkout", "-q", "--orphan", "other")
    client.commit({"other.txt": "other\n"}, "another root")
    assert (await push_commit(engine, store, client, b"refs/heads/other")).is_ok
    before = await objects_of(engine, store)
    _, packs = await read_manifest(engine.database, store)
    done = await compact_once(engine, store, packs_max=2)
    assert done is not None
    assert done.packs == len(packs) == 8
    assert done.pack_bytes < sum(pack.pack_bytes for pack in packs) / 2
    assert await objects_of(engine, store) == before
    found = await verdict(engine, store, tmp_path / "after")
    assert found == {MAIN: client.oid("main"), b"refs/tags/v1": tag, b"refs/heads/other": client.oid("other")}


async def test_a_store_with_few_packs_is_left_alone(engine: Engine) -> None:
    pusher = await make_pushed(engine, 3)
    old = await pack_ids(engine, pusher.store)
    assert await compact(engine, pusher.store) == []
    assert await pack_ids(engine, pusher.store) == old


async def test_many_packs_are_found_and_become_few_in_bounded_steps(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "PACKS_MAX", 5)
    monkeypatch.setattr(compaction, "PACKS_AT_ONCE", 3)
    crowded, quiet = await make_pushed(engine, 9), await make_pushed(engine, 4)
    assert await find_crowded(engine.database, pushed_within=timedelta(minutes=15)) == [crowded.store]
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack)):
            pack.created_at -= timedelta(hours=1)
    assert await find_crowded(engine.database, pushed_within=timedelta(minutes=15)) == []
    assert await find_crowded(engine.database) == [crowded.store]
    before = await objects_of(engine, crowded.store)
    assert [step.packs for step in await compact(engine, crowded.store)] == [3, 3, 3]
    assert await objects_of(engine, crowded.store) == before
    assert await find_crowded(engine.database) == []
    assert len(await pack_ids(engine, quiet.store)) == 4


async def test_pushes_and_clones_meanwhile_succeed_and_their_packs_stay(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher = await make_pushed(engine, 4)
    old = await pack_ids(engine, pusher.store)

    async def push_now(step: Step) -> None:
        if step is Step.COMPACTION_PACKED:
            await pusher.push()
            await pusher.push_branches(3)

    monkeypatch.setattr(compaction, "fail_point", push_now)
    (tmp_path / "while").mkdir()
    async with engine.view(await engine.state(pusher.store)) as running:
        assert await compact_once(engine, pusher.store, packs_max=2) is not None
        # C4: a view that was open before still reads every object.
        fsck = await asyncio.to_thread(StockRepository(running.path).git, "fsck", "--full", "--strict")
        assert b"missing" not in fsck
    now = await pack_ids(engine, pusher.store)
    assert len(now) == 5
    assert not now & old
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs


async def test_a_running_fetch_survives_whatever_becomes_of_its_packs(engine: Engine, tmp_path: Path) -> None:
    """C4: the reader waits in the middle while its store is forced back, compacted, its packs deleted and evicted."""
    client = init(tmp_path / "client")
    store = await make_store(engine)
    for number in range(4):
        client.commit({f"file{number}": Random(number).randbytes(1 << 20)})
        assert (await push_commit(engine, store, client)).is_ok
    tip = client.oid("HEAD")
    arguments = (b"ofs-delta", b"no-progress", b"want " + tip.encode(), b"done")
    async with engine.upload.serve_v2(await engine.state(store), V2Request(b"fetch", arguments)) as flight:
        assert isinstance(flight, Flight)
        chunks = flight.chunks()
        answer = await anext(chunks)
        assert len(answer) < 4 << 20
        forced = client.commit({"file0": "small"}, "forced", "--amend")
        assert (await push(engine, store, [(MAIN, tip, forced)], client.pack([forced], without=[tip]))).is_ok
        assert await compact_once(engine, store, packs_max=2) is not None
        async with engine.database.write() as session:
            await session.execute(
                update(Pack).where(Pack.condemned_at.is_not(None)).values(condemned_at=datetime(2020, 1, 1, tzinfo=UTC))
            )
        assert (await delete_condemned(engine.database, engine.storage)).packs >= 4
        await asyncio.to_thread(engine.cache.evict, 0)
        answer += b"".join([chunk async for chunk in chunks])
    reader = PktReader(pieces(answer), max_bytes=1 << 25)
    lines = await reader.read_until_flush()
    assert lines[0] == b"packfile\n"
    receiver = init(tmp_path / "receiver", bare=True)
    receiver.git("index-pack", "--stdin", "--strict", stdin=b"".join(line[1:] for line in lines if line[0] == 1))
    receiver.git("update-ref", "refs/heads/main", tip)
    receiver.git("fsck", "--strict", "--no-progress")
    assert await verdict(engine, store, tmp_path / "after") == {MAIN: forced}


async def test_a_push_staged_before_the_swap_lands_after_it(engine: Engine, tmp_path: Path) -> None:
    pusher = await make_pushed(engine, 4)
    old = pusher.refs[MAIN]
    new, pack = pusher.make(old)
    staged = await engine.stager.stage_push(
        await engine.state(pusher.store),
        [RefUpdate(MAIN, old, new)],
        pieces(pack),
        limits=push_limits(engine.settings, is_first=False),
        is_atomic=False,
    )
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    [outcome] = await engine.land(staged, push_id=random_id(), actor="tester", within=allow)
    assert outcome.refusal == ""
    assert await verdict(engine, pusher.store, tmp_path / "after") == {MAIN: new}


async def test_two_workers_replace_a_pack_once(engine: Engine, tmp_path: Path) -> None:
    pusher = await make_pushed(engine, 5)
    done = await asyncio.gather(
        *(compact_once(engine, pusher.store, packs_max=2) for _ in range(3)), return_exceptions=True
    )
    assert sum(not isinstance(one, BaseException) and one is not None for one in done) == 1, done
    assert all(one is None or not isinstance(one, Exception) or isinstance(one, PacksReplaced) for one in done)
    assert len(await pack_ids(engine, pusher.store)) == 1
    assert (await verdict_without_bucket(engine, pusher.store, tmp_path / "after")) == pusher.refs


async def verdict_without_bucket(engine: Engine, store: int, folder: Path) -> dict[bytes, str]:
    folder.mkdir()
    await fresh_clone(engine, store, folder)
    return dict(await refs_of(engine, store))


async def test_a_store_deleted_meanwhile_stays_deleted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    pusher = await make_pushed(engine, 4)

    async def delete_now(step: Step) -> None:
        if step is Step.COMPACTION_PACKED:
            async with engine.database.write() as session:
                await engine.delete_store(session, pusher.store)

    monkeypatch.setattr(compaction, "fail_point", delete_now)
    with pytest.raises(PacksReplaced):
        await compact_once(engine, pusher.store, packs_max=2)
    assert await pack_ids(engine, pusher.store) == set()


async def test_a_worker_that_lost_its_lease_or_its_upload_replaces_nothing(engine: Engine) -> None:
    pusher = await make_pushed(engine, 4)
    old = await pack_ids(engine, pusher.store)

    async def refuse(session: AsyncSession) -> None:
        raise LookupError("the lease is lost")

    with pytest.raises(LookupError):
        await compact_once(engine, pusher.store, packs_max=2, within=refuse)

    async def expire(session: AsyncSession) -> None:
        await session.execute(update(Upload).where(Upload.state == UploadState.OPEN).values(state=UploadState.EXPIRED))

    with pytest.raises(UploadExpired):
        await compact_once(engine, pusher.store, packs_max=2, within=expire)
    assert await pack_ids(engine, pusher.store) == old


async def test_base_packs_and_packs_that_another_store_names_are_kept(engine: Engine) -> None:
    """A fork will name its parent's packs: they must outlive the parent's compaction."""
    pusher, fork = await make_pushed(engine, 4), await make_store(engine)
    base, shared, *_ = sorted(await pack_ids(engine, pusher.store))
    async with engine.database.write() as session:
        await session.execute(update(ManifestEntry).where(ManifestEntry.pack_id == base).values(kind=ManifestKind.BASE))
        session.add(ManifestEntry(store_id=fork, pack_store_id=pusher.store, pack_id=shared, kind=ManifestKind.PUSH))
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    assert base in await pack_ids(engine, pusher.store)
    assert shared not in await pack_ids(engine, pusher.store)
    async with engine.database.read() as session:
        states = {pack.id: pack.state for pack in await session.scalars(select(Pack))}
    assert (states[base], states[shared]) == (PackState.LIVE, PackState.LIVE)
    assert list(states.values()).count(PackState.CONDEMNED) == 2


@pytest.mark.parametrize("step", STEPS)
async def test_an_error_at_any_step_leaves_the_old_manifest_or_the_new(
    engine: Engine, step: Step, tmp_path: Path
) -> None:
    pusher = await make_pushed(engine, 4)
    old = await pack_ids(engine, pusher.store)
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await compact_once(engine, pusher.store, packs_max=2)
    finally:
        fail_points.configure(())
    assert (await pack_ids(engine, pusher.store) == old) == (step in BEFORE_THE_SWAP)
    assert list(engine.cache.quarantines.iterdir()) == []
    await pusher.push()
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs


async def run_child(engine: Engine, url: str, store: int, fail: str, folder: Path) -> int:
    """Compact in a process of its own, as another node would; return its exit code."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")} | {
        "CAIRN_DATABASE_URL": url,
        "CAIRN_STORAGE_URL": f"file://{engine.settings.data_dir / 'storage'}",
        "CAIRN_DATA_DIR": str(folder),
        "CAIRN_FAIL_POINTS": fail,
        "CAIRN_LOG_LEVEL": "error",
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CHILD, str(store)],
        env=environ, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode


async def test_a_kill_at_any_step_with_pushes_meanwhile_is_made_good(
    engine: Engine, database: Database, database_url: str, tmp_path: Path
) -> None:
    """G2: a node dies at each step while others push; then the sweepers run, and nothing is missing or left over."""
    pusher = await make_pushed(engine, 4)
    for step in STEPS:
        old = await pack_ids(engine, pusher.store)
        code, _ = await asyncio.gather(
            run_child(engine, database_url, pusher.store, f"{step.value}=kill", tmp_path / step.value),
            pusher.push_many(4),
        )
        assert code == -signal.SIGKILL, step
        now = await pack_ids(engine, pusher.store)
        assert (old <= now) == (step in BEFORE_THE_SWAP), step
        assert await refs_of(engine, pusher.store) == pusher.refs
        await check_bucket(engine, pusher.store)
    async with database.write() as session:
        for upload in await session.scalars(select(Upload).where(Upload.state == UploadState.OPEN)):
            upload.expires_at -= timedelta(hours=3)
        for pack in await session.scalars(select(Pack).where(Pack.state == PackState.CONDEMNED)):
            assert pack.condemned_at is not None
            pack.condemned_at -= timedelta(hours=7)
    assert (await sweep_uploads(database, engine.storage)).expired == len(BEFORE_THE_SWAP) - 1
    assert (await delete_condemned(database, engine.storage)).packs > 0
    assert await verdict(engine, pusher.store, tmp_path / "after") == pusher.refs
    keys = [found.key async for found in engine.storage.list(f"packs/{pusher.store}/")]
    assert len(keys) == 2 * len(await pack_ids(engine, pusher.store))
