"""A purge reaches every copy (forks, condemned packs, undo packs, uploads, caches) and lets nothing back in."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.forked_stores import fork_store
from tests.factories.git_repositories import StockRepository, init
from tests.factories.passing_time import let_pass
from tests.factories.pushes import (
    EMPTY_PACK,
    MAIN,
    PushReport,
    allow,
    fresh_clone,
    make_store,
    pieces,
    push,
    push_commit,
)
from tests.factories.small_pushes import SmallPusher

from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git import fail_points, forks
from cairn.git import purge as purging
from cairn.git.collection import collect
from cairn.git.compaction import compact_once
from cairn.git.doctor import examine
from cairn.git.engine import Engine, open_engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.fetch_cache import Flight
from cairn.git.forks import cut_base, open_refs, share_base
from cairn.git.landing import ObjectsPurged
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState, PurgedObject, PurgedPack, Store
from cairn.git.node_purges import NodePurges
from cairn.git.pack_files import announce_upload
from cairn.git.purge import Purged, StillReachable, TooBusy, find_relatives, purge
from cairn.git.quarantine import Quarantine
from cairn.git.ref_queries import ROOTS_KEPT, RefValue, retained_roots
from cairn.git.ref_transaction import RefUpdate
from cairn.git.staging import Write, push_limits
from cairn.git.types import ZERO_OID, Oid
from cairn.git.undo_packs import list_undo_packs
from cairn.git.upload_pack import V2Request
from cairn.git.upload_sweeper import sweep_uploads
from cairn.storage.storage import open_storage

pytest_plugins = ["tests.factories.engines"]

SECRET = b"AKIA-not-for-everybody\n"


async def agree(session: AsyncSession) -> None:
    """Allow the purge."""


class Leak:
    """A store where a secret was pushed to main and the branch was then rewritten without it."""

    def __init__(self, engine: Engine, client: StockRepository, store: int) -> None:
        self.engine = engine
        self.client = client
        self.store = store
        self.blob = self.first = self.leaking = self.after = Oid("")

    async def happen(self) -> "Leak":
        """Three pushes: a start, the secret, a commit upon it; then the rewrite."""
        client, engine, store = self.client, self.engine, self.store
        self.first = client.commit({"file.txt": "one\n"})
        assert (await push_commit(engine, store, client)).is_ok
        self.leaking = client.commit({"key.txt": SECRET, "file.txt": "two\n"}, "oops")
        self.blob = client.oid("HEAD:key.txt")
        assert (await push_commit(engine, store, client)).is_ok
        self.after = client.commit({"file.txt": "three\n"}, "more")
        assert (await push_commit(engine, store, client)).is_ok
        return self

    async def rewrite(self) -> Oid:
        """Force the branch away from the secret."""
        self.client.git("reset", "-q", "--hard", self.first)
        clean = self.client.commit({"file.txt": "clean\n"}, "clean")
        pack = self.client.pack([clean], without=[self.first])
        assert (await push(self.engine, self.store, [(MAIN, self.after, clean)], pack)).is_ok
        return clean

    async def fork(self) -> int:
        """A store whose manifest names the packs of now, with the refs of now."""
        fork = await make_store(self.engine)
        state = await self.engine.state(self.store)
        snapshot = await self.engine.snapshot(state)
        async with self.engine.database.write() as session:
            for entry in await session.scalars(select(ManifestEntry).where(ManifestEntry.store_id == self.store)):
                session.add(
                    ManifestEntry(
                        store_id=fork,
                        pack_store_id=entry.pack_store_id,
                        pack_id=entry.pack_id,
                        kind=ManifestKind.BASE,
                    )
                )
            (await session.get_one(Store, fork)).manifest_version += 1
        for ref in snapshot.refs:
            staged = await self.engine.stage(fork, _creating(ref))
            await self.engine.land(staged, push_id=random_id(), actor="tester", within=allow)
        return fork


def _creating(ref: RefValue) -> Write:
    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        return [RefUpdate(ref.name, ZERO_OID, ref.oid)]

    return write


@pytest.fixture
async def leak(engine: Engine, tmp_path: Path) -> Leak:
    return await Leak(engine, init(tmp_path / "client"), await make_store(engine)).happen()


async def bucket_has(engine: Engine, folder: Path, oid: Oid) -> list[str]:
    """Return the keys of all packs in the object store, announced or not, that hold the object."""
    found = []
    async for item in engine.storage.list(""):
        if item.key.endswith(".idx"):
            path = folder / "looked-at.idx"
            path.write_bytes(await engine.storage.get(item.key, max_bytes=1 << 30))
            listed = await asyncio.to_thread(StockRepository(folder).git, "show-index", stdin=path.read_bytes())
            if oid.encode() in listed:
                found.append(item.key)
    return found


def disk_has(engine: Engine, oid: Oid, folder: Path) -> list[Path]:
    """Return the indexes in the node's cache that hold the object."""
    return [
        path
        for path in engine.cache.root.rglob("*.idx")
        if oid.encode() in StockRepository(folder).git("show-index", stdin=path.read_bytes())
    ]


async def test_a_purge_is_refused_while_a_ref_reaches_the_object_and_changes_nothing(
    engine: Engine, leak: Leak
) -> None:
    before = (await engine.state(leak.store)).manifest_version
    with pytest.raises(StillReachable, match=f"refs/heads/main of store {leak.store}"):
        await purge(engine, [leak.store], [leak.blob], within=agree)
    client = leak.client
    client.git("tag", "-a", "-m", "kept", "v1", leak.leaking)
    tag = client.oid("v1")
    assert (
        await push(engine, leak.store, [(b"refs/tags/v1", ZERO_OID, tag)], client.pack([tag], without=["HEAD"]))
    ).is_ok
    await leak.rewrite()
    with pytest.raises(StillReachable) as refused:
        await purge(engine, [leak.store], [leak.blob], within=agree)
    assert refused.value.refs == ((leak.store, b"refs/tags/v1"),)
    async with engine.database.read() as session:
        assert list(await session.scalars(select(PurgedObject.oid))) == []
    assert (await engine.state(leak.store)).manifest_version == before + 2


async def test_a_purge_removes_the_bytes_everywhere(engine: Engine, leak: Leak, tmp_path: Path) -> None:
    """G4: bucket, condemned packs, undo packs, forks, node caches; and the stores stay whole."""
    # A condemned pack holds it, and so does the compacted one.
    assert await compact_once(engine, leak.store, packs_max=2) is not None
    await leak.rewrite()
    fork = await leak.fork()
    async with engine.view(await engine.state(fork)):
        pass
    assert len(await bucket_has(engine, tmp_path, leak.blob)) >= 2
    assert await asyncio.to_thread(disk_has, engine, leak.blob, tmp_path)
    assert await find_relatives(engine.database, [fork]) == [leak.store, fork]
    done = await purge(engine, [leak.store], [leak.blob], within=agree)
    assert done.stores == (leak.store, fork)
    assert done.packs >= 2
    assert await bucket_has(engine, tmp_path, leak.blob) == []
    assert await asyncio.to_thread(disk_has, engine, leak.blob, tmp_path) == []
    for number, store in enumerate((leak.store, fork)):
        folder = tmp_path / f"after-{number}"
        folder.mkdir()
        assert (await fresh_clone(engine, store, folder)).oid("main") not in {leak.leaking, leak.after}
        assert await examine(engine, store) == []
        async with engine.database.read() as session:
            state = await engine.state(store)
            tips = (await engine.snapshot(state)).tips
            roots = await retained_roots(session, state, tips, kept=ROOTS_KEPT)
        assert leak.leaking not in roots
        assert leak.after not in roots
    # The rest of what was forced away goes the way of all garbage.
    await let_pass(engine.database, ROOTS_KEPT)
    await collect(engine, leak.store)
    assert await examine(engine, leak.store) == []


async def test_other_old_values_stay_roots(engine: Engine, leak: Leak) -> None:
    """What was a root only through a value that reached the secret becomes one by itself (P-4)."""
    client = leak.client
    client.git("checkout", "-q", "--orphan", "fresh")
    client.git("rm", "-q", "-r", "-f", ".")
    clean = client.commit({"file.txt": "nothing of before\n"}, "fresh start")
    assert (await push(engine, leak.store, [(MAIN, leak.after, clean)], client.pack([clean]))).is_ok
    await purge(engine, [leak.store], [leak.blob], within=agree)
    async with engine.database.read() as session:
        state = await engine.state(leak.store)
        roots = await retained_roots(session, state, (await engine.snapshot(state)).tips)
    assert sorted(roots) == sorted([clean, leak.first])
    report = await push(engine, leak.store, [(b"refs/heads/back", ZERO_OID, leak.first)], EMPTY_PACK)
    assert report.is_ok


async def test_the_object_cannot_be_pushed_or_written_again(engine: Engine, leak: Leak) -> None:
    await leak.rewrite()
    await purge(engine, [leak.store], [leak.blob], within=agree)
    pack = leak.client.pack([leak.after], without=[leak.first])
    report = await push(engine, leak.store, [(b"refs/heads/again", ZERO_OID, leak.after)], pack)
    assert f"object {leak.blob} was purged from this repository" in report.unpacked
    for old in (leak.after, leak.leaking):
        report = await push(engine, leak.store, [(b"refs/heads/again", ZERO_OID, old)], EMPTY_PACK)
        assert not report.is_ok
    elsewhere = await make_store(engine)
    assert (await push(engine, elsewhere, [(MAIN, ZERO_OID, leak.after)], leak.client.pack([leak.after]))).is_ok


async def test_a_store_that_shares_packs_after_the_purge_refuses_the_object_too(engine: Engine, leak: Leak) -> None:
    """Attack: a leaked key is purged; who still has it forks the repository, or a fork of it, and pushes it there."""
    await leak.rewrite()
    await purge(engine, [leak.store], [leak.blob], within=agree)
    await cut_base(engine, leak.store)
    pack = leak.client.pack([leak.after], without=[leak.first])
    store = leak.store
    for _ in range(2):
        store = await fork_store(engine, store)
        before = (await engine.state(store)).cache_epoch
        report = await push(engine, store, [(b"refs/heads/again", ZERO_OID, leak.after)], pack)
        assert f"object {leak.blob} was purged from this repository" in report.unpacked
        refs = open_refs(await engine.snapshot(await engine.state(store)))
        async with engine.database.write() as session:
            await share_base(session, source_id=leak.store, target_id=store, oids=[ref.oid for ref in refs])
        assert (await engine.state(store)).cache_epoch == before, "what is known already disturbs nobody"


async def test_a_plan_staged_before_the_purge_cannot_land_after_it(engine: Engine, leak: Leak, tmp_path: Path) -> None:
    await leak.rewrite()
    leak.client.git("reset", "-q", "--hard", leak.after)
    upon = leak.client.commit({"more.txt": "more\n"}, "upon the secret")
    staged = await engine.stager.stage_push(
        await engine.state(leak.store),
        [RefUpdate(b"refs/heads/late", ZERO_OID, upon)],
        pieces(leak.client.pack([upon])),
        limits=push_limits(engine.settings, is_first=False),
        is_atomic=False,
    )
    assert len(await bucket_has(engine, tmp_path, leak.blob)) == 2
    await purge(engine, [leak.store], [leak.blob], within=agree)
    with pytest.raises(ObjectsPurged):
        await engine.land(staged, push_id=random_id(), actor="tester", within=allow)
    assert await bucket_has(engine, tmp_path, leak.blob) == []


async def test_undo_packs_and_shared_answers_go_too(engine: Engine, leak: Leak, tmp_path: Path) -> None:
    arguments = (b"ofs-delta", b"no-progress", b"want " + leak.after.encode(), b"done")
    async with engine.upload.serve_v2(await engine.state(leak.store), V2Request(b"fetch", arguments)) as flight:
        assert isinstance(flight, Flight)
        async for _ in flight.chunks():
            pass
    await engine.storage.put(f"cache/fetch/{leak.store}/some-answer", b"PACK with a secret")
    await leak.rewrite()
    await let_pass(engine.database, ROOTS_KEPT + timedelta(minutes=1))
    assert (await collect(engine, leak.store)).dropped
    [undo] = await list_undo_packs(engine.database, leak.store)
    assert f"{undo.key}.idx" in await bucket_has(engine, tmp_path, leak.blob)
    done = await purge(engine, [leak.store], [leak.blob], within=agree)
    assert done.undo_packs == 1
    assert await list_undo_packs(engine.database, leak.store) == []
    assert await bucket_has(engine, tmp_path, leak.blob) == []
    assert [found async for found in engine.storage.list("cache/fetch/")] == []
    assert list((engine.cache.root / "fetch").iterdir()) == []


async def test_another_node_hears_of_the_purge(engine: Engine, leak: Leak, tmp_path: Path) -> None:
    await leak.rewrite()
    settings = Settings(data_dir=engine.settings.data_dir, cache_dir=tmp_path / "second-node")
    async with open_engine(settings, engine.database, open_storage(engine.settings)) as second:
        async with second.view(await second.state(leak.store)):
            pass
        assert await asyncio.to_thread(disk_has, second, leak.blob, tmp_path)
        await purge(engine, [leak.store], [leak.blob], within=agree)
        purges = NodePurges(second.database, second.cache, second.answers)
        assert await purges.hear() == 1
        assert await asyncio.to_thread(disk_has, second, leak.blob, tmp_path) == []
        assert await purges.hear() == 0


@pytest.mark.parametrize("kind", ["commit", "tree", "several"])
async def test_commits_trees_and_several_objects_can_be_purged(
    engine: Engine, leak: Leak, tmp_path: Path, kind: str
) -> None:
    top, root_tree = leak.leaking, leak.client.oid(f"{leak.leaking}^{{tree}}")
    oids = {"commit": [top], "tree": [root_tree], "several": [top, root_tree, leak.blob]}[kind]
    with pytest.raises(StillReachable):
        await purge(engine, [leak.store], oids, within=agree)
    await leak.rewrite()
    await purge(engine, [leak.store], oids, within=agree)
    for oid in oids:
        assert await bucket_has(engine, tmp_path, oid) == []
    assert await examine(engine, leak.store) == []


async def test_a_pack_that_held_nothing_else_leaves_the_manifest(engine: Engine, tmp_path: Path) -> None:
    client, store = init(tmp_path / "client"), await make_store(engine)
    only = client.git("hash-object", "-w", "--stdin", stdin=SECRET).decode().strip()
    pack = client.git("pack-objects", "--stdout", "-q", stdin=only.encode() + b"\n")
    assert (await push(engine, store, [(b"refs/tags/key", ZERO_OID, Oid(only))], pack)).is_ok
    assert (await push(engine, store, [(b"refs/tags/key", Oid(only), ZERO_OID)])).is_ok
    assert (await purge(engine, [store], [Oid(only)], within=agree)).packs == 1
    async with engine.database.read() as session:
        assert list(await session.scalars(select(Pack).where(Pack.store_id == store))) == []
    assert [found async for found in engine.storage.list(f"packs/{store}/")] == []


@pytest.mark.parametrize(
    "step", [Step.PURGE_BEFORE_COMMIT, Step.PURGE_AFTER_COMMIT, Step.PURGE_UPLOADED], ids=lambda step: step.value
)
async def test_a_purge_that_dies_is_finished_by_the_same_call(
    engine: Engine, leak: Leak, tmp_path: Path, step: Step
) -> None:
    await leak.rewrite()
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await purge(engine, [leak.store], [leak.blob], within=agree)
    finally:
        fail_points.configure([])
    await purge(engine, [leak.store], [leak.blob], within=agree)
    assert await bucket_has(engine, tmp_path, leak.blob) == []
    assert [found for found in await examine(engine, leak.store) if not found.is_mendable] == []
    async with engine.database.read() as session:
        assert set(await session.scalars(select(PurgedPack.is_deleted))) == {True}
        assert PackState.DELETING not in set(await session.scalars(select(Pack.state)))


@pytest.mark.parametrize("lost", ["both files", "the index"])
async def test_a_purge_that_dies_among_undo_packs_is_finished_by_the_same_call(
    engine: Engine, leak: Leak, tmp_path: Path, lost: str
) -> None:
    """Their bytes go first: the call that comes after finds a row without an index, and must not stop at it."""
    await leak.rewrite()
    await let_pass(engine.database, ROOTS_KEPT + timedelta(minutes=1))
    await collect(engine, leak.store)
    [undo] = await list_undo_packs(engine.database, leak.store)
    if lost == "the index":
        await engine.storage.delete(f"{undo.key}.idx")
    else:
        fail_points.configure([f"{Step.UNDO_BYTES_DELETED.value}=error"])
        try:
            with pytest.raises(FailPointError):
                await purge(engine, [leak.store], [leak.blob], within=agree)
        finally:
            fail_points.configure([])
    await purge(engine, [leak.store], [leak.blob], within=agree)
    assert [found.key async for found in engine.storage.list("undo")] == []
    assert await list_undo_packs(engine.database, leak.store) == []
    async with engine.database.read() as session:
        assert set(await session.scalars(select(PurgedPack.is_deleted))) == {True}


async def test_packs_that_are_combined_during_a_purge_keep_nothing(
    engine: Engine, leak: Leak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compaction swaps after the purge listed the packs: the new one is not on the list and holds the object."""
    await leak.rewrite()
    listed = purging.packs_of

    async def compact_then(database: Database, stores: Sequence[int]) -> list[Pack]:
        monkeypatch.setattr(purging, "packs_of", listed)
        found = await listed(database, stores)
        assert await compact_once(engine, leak.store, packs_max=2) is not None
        return found

    monkeypatch.setattr(purging, "packs_of", compact_then)
    await purge(engine, [leak.store], [leak.blob], within=agree)
    assert await bucket_has(engine, tmp_path, leak.blob) == []
    assert [found for found in await examine(engine, leak.store) if not found.is_mendable] == []


async def test_a_base_pack_that_was_cut_before_a_purge_is_not_shared_after_it(
    engine: Engine, leak: Leak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = SmallPusher(engine, leak.store)
    for _ in range(5):
        await others.push(b"refs/heads/other")
    # One pack, of which the branch that is cut is the smaller part: the cut replaces no pack.
    assert await compact_once(engine, leak.store, packs_max=2) is not None

    async def purge_first(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(forks, "announce_upload", announce_upload)
        await leak.rewrite()
        await purge(engine, [leak.store], [leak.blob], within=agree)
        return await announce_upload(*arguments, **options)

    monkeypatch.setattr(forks, "announce_upload", purge_first)
    await forks.cut_base(engine, leak.store, is_open=MAIN.__eq__)
    await let_pass(engine.database, timedelta(days=2))
    await sweep_uploads(engine.database, engine.storage)
    assert await bucket_has(engine, tmp_path, leak.blob) == []


async def test_pushes_meanwhile_are_looked_at_too(engine: Engine, leak: Leak, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody brings the secret back between the look at the refs and the decision."""
    await leak.rewrite()
    judge = purging._judge
    pushed: list[PushReport] = []

    async def judge_then_push(*arguments: object) -> None:
        await judge(*arguments)  # type: ignore[arg-type]
        if not pushed:
            pushed.append(await push(engine, leak.store, [(b"refs/heads/back", ZERO_OID, leak.after)], EMPTY_PACK))
            assert pushed[0].is_ok

    monkeypatch.setattr(purging, "_judge", judge_then_push)
    with pytest.raises(StillReachable, match="refs/heads/back"):
        await purge(engine, [leak.store], [leak.blob], within=agree)


async def test_a_purge_of_a_store_that_never_rests_gives_up(
    engine: Engine, leak: Leak, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leak.rewrite()
    judge = purging._judge
    count = iter(range(100))

    async def judge_then_push(*arguments: object) -> None:
        await judge(*arguments)  # type: ignore[arg-type]
        name = b"refs/heads/side-%d" % next(count)
        assert (await push(engine, leak.store, [(name, ZERO_OID, leak.first)], EMPTY_PACK)).is_ok

    monkeypatch.setattr(purging, "_judge", judge_then_push)
    with pytest.raises(TooBusy):
        await purge(engine, [leak.store], [leak.blob], within=agree)


async def test_whoever_may_not_changes_nothing(engine: Engine, leak: Leak, tmp_path: Path) -> None:
    await leak.rewrite()

    async def refuse(session: AsyncSession) -> None:
        raise LookupError("forbidden")

    with pytest.raises(LookupError):
        await purge(engine, [leak.store], [leak.blob], within=refuse)
    assert len(await bucket_has(engine, tmp_path, leak.blob)) == 1


async def test_purges_work_on_each_database(any_database: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, any_database, open_storage(settings)) as engine:
        leak = await Leak(engine, init(tmp_path / "client"), await make_store(engine)).happen()
        await leak.rewrite()
        fork = await leak.fork()
        assert await purge(engine, [leak.store], [leak.blob], within=agree) == Purged((leak.store, fork), 1, 0)
        assert await bucket_has(engine, tmp_path, leak.blob) == []
        assert await examine(engine, fork) == []
