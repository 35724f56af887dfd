"""Graphs and bitmaps: made over packs that stay, used only while those stay, and right in everything they say."""

from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import MAIN, make_store, push, push_commit
from tests.factories.small_pushes import SmallPusher

from cairn.git import index_building
from cairn.git.commands import GitCommand
from cairn.git.compaction import compact_once
from cairn.git.engine import Engine
from cairn.git.history import Objects, count_ahead_behind, find_unreachable, has_bitmap, read_log
from cairn.git.index_building import SizedPack, build_indexes, find_unindexed, settled_packs
from cairn.git.indexes import IndexKind, condemn_unusable, known_index_keys, read_indexes
from cairn.git.manifest import read_manifest
from cairn.git.models import Upload, UploadState
from cairn.git.node_cache import View
from cairn.git.pack_files import UploadExpired
from cairn.git.types import ZERO_OID, Oid
from cairn.jobs.context import LeaseLost

pytest_plugins = ["tests.factories.engines"]
GRAPH, BITMAP = IndexKind.GRAPH, IndexKind.BITMAP


@pytest.fixture(autouse=True)
def small_stores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Index from the first object on, and renew a graph for the first one it lacks."""
    monkeypatch.setattr(index_building, "OBJECTS_MIN", 1)
    monkeypatch.setattr(index_building, "_GRAPH_LAG_MIN", 0)


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    for number in range(40):
        made.commit({f"d{number % 4}/f{number % 7}": f"{number}\n", "README": f"{number}\n"}, f"change {number}")
    return made


async def usable(engine: Engine, store: int) -> set[IndexKind]:
    """Return the kinds that a view made now gets."""
    _, packs = await read_manifest(engine.database, store)
    return {found.kind for found in await read_indexes(engine.database, store, [pack.id for pack in packs])}


def has_graph(view: View) -> bool:
    return (view.objects / "info" / "commit-graph").exists()


async def graph_count(engine: Engine, view: View) -> int:
    """Return how many commits the graph of a view has; git verifies it on the way."""
    await engine.runner.run(GitCommand(name="commit-graph", options=("verify", "--no-progress")), git_dir=view.path)
    data = (view.objects / "info" / "commit-graph").read_bytes()
    chunks = {data[8 + 12 * n : 12 + 12 * n]: int.from_bytes(data[12 + 12 * n : 20 + 12 * n]) for n in range(data[6])}
    assert b"BIDX" in chunks, "changed-path filters"
    assert b"GDA2" not in chunks, "libgit2 reads the first generation numbers only"
    return int.from_bytes(data[chunks[b"OIDF"] + 255 * 4 :][:4])


def test_the_settled_packs_are_those_that_compaction_leaves_alone() -> None:
    sizes = {"a": 10, "b": 700, "c": 100, "d": 190}
    packs = [SizedPack(name, objects) for name, objects in sizes.items()]
    assert [pack.id for pack in settled_packs(packs)] == ["b"]
    assert [pack.id for pack in settled_packs([SizedPack("x", 5), SizedPack("y", 5)])] == ["x", "y"]
    assert settled_packs([]) == []


async def test_a_store_gets_both_indexes_and_its_views_have_them(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    before = await engine.state(store)
    assert await find_unindexed(engine.database) == [store]
    assert await build_indexes(engine, store) == [GRAPH, BITMAP]
    assert await find_unindexed(engine.database) == []
    assert await build_indexes(engine, store) == []
    async with engine.view(before) as older, engine.view(await engine.state(store)) as view:
        assert older.path != view.path
        assert not has_graph(older)
        assert await graph_count(engine, view) == 40
        assert view.has_bitmap
        assert has_bitmap(Objects(view.path))
        verify = GitCommand(name="multi-pack-index", options=("verify", "--no-progress"))
        await engine.runner.run(verify, git_dir=view.path)
    async with engine.database.read() as session:
        keys = await known_index_keys(session)
        assert keys == await known_index_keys(session, store)
    assert {found.key async for found in engine.storage.list("indexes")} == keys
    assert len(keys) == 3


async def test_small_stores_have_none(engine: Engine, client: StockRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_building, "OBJECTS_MIN", 1_000_000)
    store = await make_store(engine)
    await push_commit(engine, store, client)
    assert await find_unindexed(engine.database) == []
    assert await build_indexes(engine, store) == []
    empty = await make_store(engine)
    monkeypatch.setattr(index_building, "OBJECTS_MIN", 0)
    assert await build_indexes(engine, empty) == []


async def test_answers_are_the_same_with_indexes_and_without(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    before, tip = await engine.state(store), client.oid("HEAD")
    outside = client.git("hash-object", "-w", "--stdin", stdin=b"never pushed").decode().strip()
    await build_indexes(engine, store)
    client.commit({"later": "x"}, "a commit that no index has")
    await push_commit(engine, store, client)
    async with engine.view(before) as plain, engine.view(await engine.state(store)) as indexed:
        assert has_graph(indexed)
        assert indexed.has_bitmap
        for path in (b"README", b"d1", b"d2/f5", b"absent", None):
            logs = [await read_log(engine.runner, Objects(view.path), [tip], path=path) for view in (plain, indexed)]
            assert logs[0] == logs[1]
            stock = client.git("log", "--format=%H", "-50", tip, *([b"--", path] if path else []))
            assert [commit.oid for commit in logs[0]] == stock.decode().split()
        old = client.oid(f"{tip}~10")
        assert await count_ahead_behind(engine.runner, Objects(indexed.path), head=old, base=tip) == (0, 10)
        wanted = [client.oid(name) for name in ("HEAD:later", "HEAD^{tree}", f"{old}:d1/f5", f"{old}^{{tree}}", old)]
        roots = [client.oid("HEAD")]
        where = Objects(indexed.path)
        assert await find_unreachable(engine.runner, where, [*wanted, Oid(outside)], roots=roots) == {outside}
        assert await find_unreachable(engine.runner, where, wanted, roots=[old]) == {*wanted[:2]}


async def test_what_only_another_root_reaches_is_proved_by_the_bitmap_too(
    engine: Engine, client: StockRepository
) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    main = client.oid("HEAD")
    client.git("checkout", "-q", "-b", "side", "HEAD~20")
    side = client.commit({"only/here": "side"})
    pack = client.pack([side], without=[main])
    assert (await push(engine, store, [(b"refs/heads/side", ZERO_OID, side)], pack)).is_ok
    await build_indexes(engine, store)
    inner = client.oid("HEAD:only/here")
    async with engine.view(await engine.state(store)) as view:
        assert view.has_bitmap
        where = Objects(view.path)
        assert await find_unreachable(engine.runner, where, [inner, side], roots=[main, side]) == set()
        assert await find_unreachable(engine.runner, where, [inner, side], roots=[main]) == {inner, side}


async def test_new_packs_leave_indexes_usable_and_are_read_beside_them(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    await build_indexes(engine, store)
    for number in range(8):
        client.commit({"more": str(number)})
        await push_commit(engine, store, client)
    assert await usable(engine, store) == {GRAPH, BITMAP}
    assert await build_indexes(engine, store) == [GRAPH]  # it lags; the bitmap's pack has most of the objects still
    async with engine.view(await engine.state(store)) as view:
        assert await graph_count(engine, view) == 48
        fsck = GitCommand(name="fsck", options=("--strict", "--no-dangling", "--no-progress"))
        await engine.runner.run(fsck, git_dir=view.path)


async def test_a_compaction_carries_the_graph_over_and_ends_a_bitmap_of_its_packs(engine: Engine) -> None:
    store = await make_store(engine)
    pusher = SmallPusher(engine, store)
    await pusher.push_many(4)
    assert await build_indexes(engine, store) == [GRAPH, BITMAP]
    assert await compact_once(engine, store, packs_max=2) is not None
    assert await usable(engine, store) == {GRAPH}
    async with engine.view(await engine.state(store)) as view:
        assert await graph_count(engine, view) == 4
        assert not view.has_bitmap
    assert await find_unindexed(engine.database) == [store]
    assert await build_indexes(engine, store) == [BITMAP]


async def test_a_graph_is_not_used_once_a_pack_went_without_a_successor(
    engine: Engine, client: StockRepository
) -> None:
    """The attack is time: a graph that names commits the store lost would have git find what is not there."""
    store = await make_store(engine)
    await push_commit(engine, store, client)
    await build_indexes(engine, store)
    async with engine.database.write() as session:
        await engine.delete_store(session, store)
    assert await usable(engine, store) == set()
    async with engine.view(await engine.state(store)) as view:
        assert not has_graph(view)
        assert not view.has_bitmap
    assert await condemn_unusable(engine.database, engine.storage, store) == 2


async def test_an_index_whose_packs_go_while_it_is_made_is_not_published(
    engine: Engine, client: StockRepository
) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)

    async def delete(session: AsyncSession) -> None:
        await engine.delete_store(session, store)

    assert await build_indexes(engine, store, within=delete) == []
    assert await usable(engine, store) == set()


async def test_an_index_is_published_by_its_holder_only_and_before_its_upload_expires(
    engine: Engine, client: StockRepository
) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)

    async def lose(session: AsyncSession) -> None:
        raise LeaseLost("another worker has it")

    async def expire(session: AsyncSession) -> None:
        await session.execute(update(Upload).values(state=UploadState.EXPIRED))

    with pytest.raises(LeaseLost):
        await build_indexes(engine, store, within=lose)
    with pytest.raises(UploadExpired):
        await build_indexes(engine, store, within=expire)
    assert await usable(engine, store) == set()
    async with engine.database.read() as session:
        assert await known_index_keys(session) == set()
        keys = {key for keys in await session.scalars(select(Upload.keys)) for key in keys}
    # What they wrote is the sweeper's: rows name it.
    assert {found.key async for found in engine.storage.list("indexes")} <= keys


async def test_a_pack_that_is_not_closed_takes_all_packs_into_the_bitmap(
    engine: Engine, client: StockRepository
) -> None:
    """A first small push and then a large one: the large pack alone lacks what its commits reach."""
    store = await make_store(engine)
    first = client.oid("HEAD~39")
    assert (await push(engine, store, [(MAIN, ZERO_OID, first)], client.pack([first]))).is_ok
    tip = client.oid("HEAD")
    assert (await push(engine, store, [(MAIN, first, tip)], client.pack([tip], without=[first]))).is_ok
    assert await build_indexes(engine, store) == [GRAPH, BITMAP]
    _, packs = await read_manifest(engine.database, store)
    found = await read_indexes(engine.database, store, [pack.id for pack in packs])
    assert {index.kind: len(index.pack_ids) for index in found} == {GRAPH: 2, BITMAP: 2}
    async with engine.view(await engine.state(store)) as view:
        blob = client.oid(f"{first}:README")
        assert await find_unreachable(engine.runner, Objects(view.path), [blob], roots=[tip]) == set()


async def test_an_index_that_is_lost_or_damaged_is_left_out(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    await build_indexes(engine, store)
    for folder in (engine.cache.root / "packs", engine.cache.root / "views"):
        for entry in folder.iterdir():
            entry.rename(engine.cache.root / "tmp" / entry.name)
    async with engine.database.read() as session:
        keys = await known_index_keys(session, store)
    for key in keys:
        await engine.storage.put(key, b"not what it was")
    client.commit({"next": "1"})
    await push_commit(engine, store, client)
    async with engine.view(await engine.state(store)) as view:
        assert not has_graph(view)
        assert not view.has_bitmap
        assert len(await read_log(engine.runner, Objects(view.path), [client.oid("HEAD")])) == 41
    for key in keys:
        await engine.storage.delete(key)
    assert await condemn_unusable(engine.database, engine.storage, store) == 2
    assert await build_indexes(engine, store) == [GRAPH, BITMAP]
    async with engine.view(await engine.state(store)) as view:
        assert await graph_count(engine, view) == 41
