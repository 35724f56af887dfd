"""The engine as a whole: stores come and go, background failures stay in the background, content executes nothing."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import MAIN, make_store, push, push_commit, refs_of, verdict
from tests.services.ports import eventually

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git import engine as engine_module
from cairn.git.engine import Engine, open_engine
from cairn.git.models import Pack, PackState
from cairn.git.node_cache import NodeCache
from cairn.git.ref_names import RefNameInvalid
from cairn.git.types import ZERO_OID
from cairn.storage.storage import open_storage

pytest_plugins = ["tests.factories.engines"]


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"a.txt": "one\n"}, "one")
    return made


async def test_a_deleted_store_has_no_refs_and_its_packs_are_condemned(engine: Engine, client: StockRepository) -> None:
    kept, deleted = await make_store(engine), await make_store(engine)
    for store in (kept, deleted):
        await push_commit(engine, store, client)
    before = await engine.state(deleted)
    async with engine.database.write() as session:
        await engine.delete_store(session, deleted)
    assert await refs_of(engine, deleted) == {}
    assert await refs_of(engine, kept) == {MAIN: client.oid("HEAD")}
    after = await engine.state(deleted)
    assert after.cache_epoch > before.cache_epoch
    assert after.manifest_version > before.manifest_version
    async with engine.database.read() as session:
        rows = await session.execute(select(Pack.store_id, Pack.state, Pack.condemned_at))
        packs = {store: (state, moment is not None) for store, state, moment in rows}
    assert packs == {kept: (PackState.LIVE, False), deleted: (PackState.CONDEMNED, True)}


async def test_head_may_point_to_a_branch_that_is_not_born(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    before = await engine.state(store)
    async with engine.database.write() as session:
        await engine.set_head(session, store, b"refs/heads/next")
    after = await engine.state(store)
    assert after.head_target == b"refs/heads/next"
    assert after.ref_version > before.ref_version
    async with engine.database.write() as session:
        with pytest.raises(RefNameInvalid):
            await engine.set_head(session, store, b"../outside")


async def test_an_error_of_the_program_comes_out_as_it_is(database: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "node")
    error = ValueError("the program's own")
    with pytest.raises(ValueError, match="own") as raised:
        async with open_engine(settings, database, open_storage(settings)):
            raise error
    assert raised.value is error


async def test_the_engine_closes_at_once_with_work_under_way(database: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "node")

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with asyncio.timeout(10):
        async with open_engine(settings, database, open_storage(settings)) as engine:
            flying = engine.answers.fly("key", never, shared=None, is_final=lambda head: True)  # type: ignore[arg-type]  # a generator all the same
            await flying.__aenter__()
            await asyncio.sleep(0)


async def test_a_failing_sweep_does_not_end_the_program(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: StockRepository
) -> None:
    swept = 0

    def fail(cache: NodeCache) -> None:
        nonlocal swept
        swept += 1
        raise PermissionError("the cache's folder")

    monkeypatch.setattr(engine_module, "_SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(NodeCache, "sweep", fail)
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, database, open_storage(settings)) as engine:

        async def twice() -> bool:
            return swept >= 2

        await eventually(twice, within_seconds=5, what="the sweep ran again after it failed")
        store = await make_store(engine)
        assert (await push_commit(engine, store, client)).is_ok


async def test_an_emptied_disk_is_filled_again(engine: Engine, client: StockRepository, tmp_path: Path) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    shutil.rmtree(engine.cache.root)
    client.commit({"b": "b"})
    assert (await push_commit(engine, store, client)).is_ok
    assert await verdict(engine, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


async def test_repository_content_executes_nothing(engine: Engine, client: StockRepository, tmp_path: Path) -> None:
    """I2. Attack: hooks, configuration, attributes, filters and modules in pushed content that would run a command
    if any git on the server read them. Nothing runs, and what could attack a client is refused."""
    canary = tmp_path / "canary"
    script = f"#!/bin/sh\ntouch {canary}\n"
    store = await make_store(engine)
    files = {f"hooks/{name}": script for name in ("pre-receive", "update", "post-index-change")}
    files |= {
        "config": f"[core]\n\thooksPath = hooks\n\tfsmonitor = {canary}\n[uploadpack]\n\tpackObjectsHook = {canary}\n",
        ".gitattributes": "* filter=evil diff=evil merge=evil\n",
        ".gitconfig": f'[filter "evil"]\n\tclean = {canary}\n',
        "objects/info/alternates": "/\n",
        "HEAD": "ref: refs/heads/main\n",
    }
    client.commit(files)
    assert (await push_commit(engine, store, client)).is_ok
    assert await verdict(engine, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}
    state = await engine.state(store)
    async with engine.view(state) as view:
        assert sorted(path.name for path in view.path.iterdir()) == ["HEAD", "config", "objects", "refs"]
    for name in (".git", ".GIT", "git~1", ".g\u200cit", "..", "."):
        blob = client.git("hash-object", "-w", "--stdin", stdin=b"x").decode().strip()
        tree = client.git(
            "mktree", "--literally" if False else "--missing", stdin=f"100644 blob {blob}\t{name}\n".encode()
        )
        old = client.oid("HEAD")
        commit = client.git("commit-tree", tree.decode().strip(), "-p", old, "-m", "evil").decode().strip()
        pack = client.pack([commit], without=[old])
        report = await push(engine, store, [(b"refs/heads/evil", ZERO_OID, client.oid(commit))], pack)
        assert "refused" in report.unpacked, (name, report)
    assert not canary.exists()
