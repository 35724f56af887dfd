"""Base packs: cut once, named by many, never half; and the end of sharing."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.forked_stores import SECRET_REF, fork_store, objects_of, packs_of, secret_object, sound
from tests.factories.git_repositories import StockRepository, fast_import, init
from tests.factories.pushes import EMPTY_PACK, MAIN, make_store, push, push_commit, refs_of
from tests.factories.small_pushes import SmallPusher

from cairn.git import fail_points, forks
from cairn.git.compaction import compact_once
from cairn.git.condemned_packs import delete_condemned
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.forks import BaseMoved, cut_base, is_covered, make_own, open_refs, read_base, share_base
from cairn.git.manifest import read_manifest
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState
from cairn.git.pack_swap import PacksReplaced
from cairn.git.store_state import lock_stores
from cairn.git.types import ZERO_OID, Oid

pytest_plugins = ["tests.factories.engines"]

CUT_STEPS = [Step.BASE_PACKED, Step.AFTER_UPLOAD_ROW, Step.BETWEEN_PACK_AND_INDEX, Step.AFTER_PACK]
CUT_STEPS += [Step.BASE_BEFORE_COMMIT, Step.BASE_AFTER_COMMIT]
OWN_STEPS = [Step.BASE_PACKED, Step.AFTER_UPLOAD_ROW, Step.AFTER_PACK, Step.OWN_BEFORE_COMMIT, Step.OWN_AFTER_COMMIT]

CHILD = """
import asyncio, os, sys
from cairn.base.settings import load_settings
from cairn.db.database import open_database
from cairn.git import forks
from cairn.git.engine import open_engine
from cairn.storage.storage import open_storage

async def main():
    settings = load_settings(os.environ)
    database = open_database(settings.effective_database_url, pool_size=2)
    async with open_engine(settings, database, open_storage(settings)) as engine:
        await getattr(forks, sys.argv[1])(engine, int(sys.argv[2]))

asyncio.run(main())
"""


async def make_parent(engine: Engine, folder: Path, *, pushes: int = 3) -> tuple[int, StockRepository]:
    """Return a store with so many pushes to ``main``, a tag and a branch, and the client that made them."""
    client, store = init(folder / "client"), await make_store(engine)
    for number in range(pushes):
        client.commit({f"file{number}": f"{number}\n" * 50, "common": f"version {number}\n"}, f"change {number}")
        assert (await push_commit(engine, store, client)).is_ok
    client.git("tag", "-a", "-m", "one", "v1")
    tag = client.oid("v1")
    assert (await push(engine, store, [(b"refs/tags/v1", ZERO_OID, tag)], client.pack([tag], without=["HEAD"]))).is_ok
    assert (await push_commit(engine, store, client, b"refs/heads/side")).is_ok
    return store, client


async def kinds_of(engine: Engine, store: int) -> dict[str, ManifestKind]:
    async with engine.database.read() as session:
        entries = await session.scalars(select(ManifestEntry).where(ManifestEntry.store_id == store))
        return {entry.pack_id: ManifestKind(entry.kind) for entry in entries}


async def test_a_cut_puts_the_parent_on_its_base_and_loses_nothing(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    before, old = await objects_of(engine, store), await packs_of(engine, store)
    cut = await cut_base(engine, store)
    assert cut is not None
    assert (cut.replaced, cut.rest_bytes) == (len(old), 0)
    assert list((await kinds_of(engine, store)).values()) == [ManifestKind.BASE]
    assert await objects_of(engine, store) == before
    async with engine.database.read() as session:
        packs = {pack.id: pack for pack in await session.scalars(select(Pack).where(Pack.store_id == store))}
        assert await is_covered(session, store, [client.oid("main"), client.oid("v1")])
    assert {pack.id for pack in packs.values() if pack.state == PackState.CONDEMNED} == old
    await sound(engine, store, tmp_path / "after")


async def test_what_no_open_ref_reaches_is_in_no_base_pack(engine: Engine, tmp_path: Path) -> None:
    """A hidden ref, and what a force-push dropped: both stay with the parent, in a pack of their own."""
    store, client = await make_parent(engine, tmp_path)
    secret = await secret_object(engine, store)
    dropped = client.commit({"dropped": "dropped\n"}, "dropped")
    assert (await push_commit(engine, store, client)).is_ok
    client.git("reset", "-q", "--hard", "HEAD~1")
    kept = client.oid("HEAD")
    assert (await push(engine, store, [(MAIN, dropped, kept)], EMPTY_PACK)).is_ok
    before = await objects_of(engine, store)
    assert await cut_base(engine, store) is not None
    assert await objects_of(engine, store) == before
    fork = await fork_store(engine, store)
    seen = {line.split()[0].decode() for line in await objects_of(engine, fork)}
    assert secret not in seen
    assert dropped not in seen
    assert kept in seen
    assert SECRET_REF not in await refs_of(engine, fork)
    await sound(engine, fork, tmp_path / "fork")
    await sound(engine, store, tmp_path / "parent")


async def test_the_parents_function_says_which_refs_are_open(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    client.commit({"draft": "draft\n"}, "draft")
    assert (await push_commit(engine, store, client, b"refs/heads/draft")).is_ok

    def is_open(name: bytes) -> bool:
        return name == MAIN

    assert await cut_base(engine, store, is_open=is_open) is not None
    async with engine.database.read() as session:
        assert await is_covered(session, store, [client.oid("HEAD~1")])
        assert not await is_covered(session, store, [client.oid("HEAD")])
    snapshot = await engine.snapshot(await engine.state(store))
    assert [ref.name for ref in open_refs(snapshot, is_open)] == [MAIN]


async def test_a_second_cut_is_an_increment_and_a_third_is_nothing(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    first = await cut_base(engine, store)
    assert first is not None
    assert await cut_base(engine, store) is None
    client.commit({"new": "new\n"}, "new")
    assert (await push_commit(engine, store, client, thin=True)).is_ok
    second = await cut_base(engine, store)
    assert second is not None
    assert second.base_bytes < first.base_bytes / 2
    assert sorted((await kinds_of(engine, store)).values()) == [ManifestKind.BASE, ManifestKind.BASE]
    # A tip that the base has already adds no pack.
    assert (await push(engine, store, [(b"refs/heads/old", ZERO_OID, client.oid("HEAD~2"))], EMPTY_PACK)).is_ok
    third = await cut_base(engine, store)
    assert third is not None
    assert (third.base_bytes, third.replaced) == (0, 0)
    await sound(engine, store, tmp_path / "after")


async def test_a_fork_names_the_base_and_never_what_the_parent_gets_later(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    await cut_base(engine, store)
    fork = await fork_store(engine, store)
    assert await packs_of(engine, fork) == await packs_of(engine, store)
    parents, forks_refs = await refs_of(engine, store), await refs_of(engine, fork)
    assert forks_refs == parents
    later = client.commit({"later": "later\n"}, "later")
    assert (await push_commit(engine, store, client)).is_ok
    assert later not in {line.split()[0].decode() for line in await objects_of(engine, fork)}
    await sound(engine, fork, tmp_path / "fork")


async def test_pushes_compaction_and_deletion_of_the_old_packs_leave_both_whole(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    await cut_base(engine, store)
    fork = await fork_store(engine, store)
    base = await packs_of(engine, fork)
    for target in (store, fork):
        for number in range(4):
            client.commit({f"{target}-{number}": "text\n"}, "more")
            assert (await push_commit(engine, target, client)).is_ok
        assert await compact_once(engine, target, packs_max=2) is not None
        assert base <= await packs_of(engine, target)
    await age_condemned(engine)
    assert (await delete_condemned(engine.database, engine.storage)).packs > 8
    await sound(engine, store, tmp_path / "parent")
    await sound(engine, fork, tmp_path / "fork")


async def test_packs_live_on_when_the_parent_is_deleted(engine: Engine, tmp_path: Path) -> None:
    store, _ = await make_parent(engine, tmp_path)
    await cut_base(engine, store)
    fork = await fork_store(engine, store)
    async with engine.database.write() as session:
        await engine.delete_store(session, store)
    async with engine.database.read() as session:
        states = {pack.id: pack.state for pack in await session.scalars(select(Pack).where(Pack.store_id == store))}
        assert (await read_base(session, store, locked=False)).tips == frozenset()
    named = await packs_of(engine, fork)
    assert {states[pack] for pack in named} == {PackState.LIVE}
    assert {state for pack, state in states.items() if pack not in named} == {PackState.CONDEMNED}
    await sound(engine, fork, tmp_path / "fork")
    async with engine.database.write() as session:
        await engine.delete_store(session, fork)
    async with engine.database.read() as session:
        left = await session.scalars(select(Pack.state).where(Pack.store_id == store))
        assert set(left) == {PackState.CONDEMNED}


async def test_a_base_that_is_not_complete_is_not_shared(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    await cut_base(engine, store)
    newer = client.commit({"newer": "newer\n"}, "newer")
    assert (await push_commit(engine, store, client)).is_ok
    target = await make_store(engine)
    with pytest.raises(BaseMoved):
        async with engine.database.write() as session:
            await share_base(session, source_id=store, target_id=target, oids=[newer])
    assert await packs_of(engine, target) == set()


async def test_a_store_with_packs_of_its_own_shares_nothing_and_has_everything(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    assert not await make_own(engine, store)
    await cut_base(engine, store)
    fork = await fork_store(engine, store)
    client.commit({"own": "own\n"}, "own")
    assert (await push_commit(engine, fork, client)).is_ok
    for one, other in ((fork, store), (store, fork)):
        before = await objects_of(engine, one)
        assert await make_own(engine, one)
        assert await objects_of(engine, one) == before
        assert not await packs_of(engine, one) & await packs_of(engine, other)
        assert ManifestKind.BASE not in (await kinds_of(engine, one)).values()
        async with engine.database.read() as session:
            assert await read_base(session, one, locked=False) == forks.Base(frozenset(), frozenset())
        await sound(engine, one, tmp_path / f"own-{one}")
        await sound(engine, other, tmp_path / f"other-{one}")
    # And it can be forked again.
    assert await cut_base(engine, store) is not None
    await sound(engine, await fork_store(engine, store), tmp_path / "again")


async def test_a_fork_of_a_fork_names_the_packs_of_both(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_parent(engine, tmp_path)
    await cut_base(engine, store)
    fork = await fork_store(engine, store)
    mine = client.commit({"mine": "mine\n"}, "mine")
    assert (await push_commit(engine, fork, client)).is_ok
    assert await cut_base(engine, fork) is not None
    second = await fork_store(engine, fork)
    assert len(await packs_of(engine, second)) == 2
    assert mine in (await refs_of(engine, second)).values()
    async with engine.database.write() as session:
        await engine.delete_store(session, fork)
    await sound(engine, second, tmp_path / "second")
    await sound(engine, store, tmp_path / "parent")


async def test_a_cut_beside_pushes_compaction_and_another_cut_is_whole(engine: Engine, tmp_path: Path) -> None:
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(6)

    async def crowd() -> None:
        for _ in range(4):
            try:
                await compact_once(engine, pusher.store, packs_max=2)
            except PacksReplaced:
                continue  # a cut was faster: nothing happened

    async with asyncio.TaskGroup() as group:
        group.create_task(cut_base(engine, pusher.store))
        group.create_task(pusher.push_many(6))
        group.create_task(cut_base(engine, pusher.store))
        group.create_task(crowd())
    await cut_base(engine, pusher.store)
    async with engine.database.read() as session:
        assert await is_covered(session, pusher.store, list(pusher.refs.values()))
    fork = await fork_store(engine, pusher.store)
    assert await refs_of(engine, fork) == pusher.refs
    await sound(engine, pusher.store, tmp_path / "parent")
    await sound(engine, fork, tmp_path / "fork")


async def test_many_cuts_leave_few_base_packs_in_parent_and_fork(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork that syncs after each push: both have everything in few packs, the fork not a byte of its own."""
    monkeypatch.setattr(forks, "BASES_MAX", 4)
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push()
    await cut_base(engine, pusher.store)
    fork, early = await fork_store(engine, pusher.store), await fork_store(engine, pusher.store)
    most = 0
    for _ in range(12):
        tip = await pusher.push()
        await cut_base(engine, pusher.store)
        async with engine.database.write() as session:
            await lock_stores(session, [fork])
            await share_base(session, source_id=pusher.store, target_id=fork, oids=[tip])
        most = max(most, len(await packs_of(engine, pusher.store)), len(await packs_of(engine, fork)))
    assert most <= 5
    assert await objects_of(engine, fork) == await objects_of(engine, pusher.store)
    assert len(await packs_of(engine, early)) == 1
    await age_condemned(engine)
    await delete_condemned(engine.database, engine.storage)
    for store in (pusher.store, fork, early):
        await sound(engine, store, tmp_path / str(store))


async def test_a_store_that_was_deleted_meanwhile_gets_no_pack(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = await make_parent(engine, tmp_path)

    prepare = forks._prepare

    async def prepared_too_late(*arguments: object) -> object:
        plan = await prepare(*arguments)  # type: ignore[arg-type]  # passed on
        async with engine.database.write() as session:
            await engine.delete_store(session, store)
        return plan

    monkeypatch.setattr(forks, "_prepare", prepared_too_late)
    with suppress(PacksReplaced):
        await cut_base(engine, store)
    assert await read_manifest(engine.database, store) == ((await engine.state(store)).manifest_version, [])


@pytest.mark.parametrize("step", CUT_STEPS)
async def test_an_error_in_a_cut_leaves_old_or_new(engine: Engine, tmp_path: Path, step: Step) -> None:
    store, _ = await make_parent(engine, tmp_path)
    before, objects = await packs_of(engine, store), await objects_of(engine, store)
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await cut_base(engine, store)
    finally:
        fail_points.configure([])
    assert (await packs_of(engine, store) == before) == (step is not Step.BASE_AFTER_COMMIT)
    assert await objects_of(engine, store) == objects
    await cut_base(engine, store)
    await sound(engine, await fork_store(engine, store), tmp_path / "fork")


@pytest.mark.parametrize("step", OWN_STEPS)
async def test_an_error_while_packs_are_separated_leaves_old_or_new(engine: Engine, tmp_path: Path, step: Step) -> None:
    store, _ = await make_parent(engine, tmp_path)
    await cut_base(engine, store)
    fork = await fork_store(engine, store)
    before, objects = await packs_of(engine, store), await objects_of(engine, store)
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await make_own(engine, store)
    finally:
        fail_points.configure([])
    assert (await packs_of(engine, store) == before) == (step is not Step.OWN_AFTER_COMMIT)
    assert await objects_of(engine, store) == objects
    await make_own(engine, store)
    assert not await packs_of(engine, store) & await packs_of(engine, fork)
    await sound(engine, fork, tmp_path / "fork")
    await sound(engine, store, tmp_path / "parent")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_kill_in_a_cut_or_a_separation_leaves_old_or_new(
    engine: Engine, tmp_path: Path, database_url: str
) -> None:
    store, _ = await make_parent(engine, tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CAIRN_DATA_DIR": str(tmp_path / "other"),
        "CAIRN_DATABASE_URL": database_url,
        "CAIRN_STORAGE_URL": engine.settings.effective_storage_url,
        "CAIRN_LOG_LEVEL": "error",
    }

    async def die(verb: str, step: Step) -> None:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", CHILD, verb, str(store)],
            env=environment | {"CAIRN_FAIL_POINTS": f"{step.value}=kill"},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    objects = await objects_of(engine, store)
    await die("cut_base", Step.BASE_BEFORE_COMMIT)
    assert await objects_of(engine, store) == objects
    assert ManifestKind.BASE not in (await kinds_of(engine, store)).values()
    await die("cut_base", Step.BASE_AFTER_COMMIT)
    assert await cut_base(engine, store) is None
    fork = await fork_store(engine, store)
    await die("make_own", Step.OWN_BEFORE_COMMIT)
    assert await packs_of(engine, store) == await packs_of(engine, fork)
    await die("make_own", Step.OWN_AFTER_COMMIT)
    assert not await packs_of(engine, store) & await packs_of(engine, fork)
    assert await objects_of(engine, store) == objects
    await sound(engine, fork, tmp_path / "fork")
    await sound(engine, store, tmp_path / "parent")


async def test_five_forks_cost_no_more_than_one_copy(engine: Engine, tmp_path: Path) -> None:
    """G7 in small: the sum of the bucket once the packs that the base replaced are deleted."""
    store, client = await make_store(engine), init(tmp_path / "client")
    fast_import(client, [(f"change {number}", {f"f{number}": os.urandom(200_000)}) for number in range(5)])
    tip = Oid(client.oid("main"))
    assert (await push(engine, store, [(MAIN, ZERO_OID, tip)], client.pack([tip]))).is_ok
    one_copy = await bucket_bytes(engine)
    await cut_base(engine, store)
    for number in range(5):
        fork = await fork_store(engine, store)
        client.git("checkout", "-q", "-f", tip)
        client.commit({f"own{number}": "own\n"}, "own")
        assert (await push_commit(engine, fork, client, b"refs/heads/own")).is_ok
    await age_condemned(engine)
    assert (await delete_condemned(engine.database, engine.storage)).packs == 1
    assert await bucket_bytes(engine) <= 1.2 * one_copy


async def bucket_bytes(engine: Engine) -> int:
    return sum([found.size async for found in engine.storage.list("packs/")])


async def age_condemned(engine: Engine) -> None:
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack).where(Pack.state == PackState.CONDEMNED)):
            pack.condemned_at = pack.created_at.replace(year=2020)
