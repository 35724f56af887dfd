"""What may be asked for by id: only what a root reaches, proved anew when a proof is old."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import MAIN, make_store, push, push_commit

from cairn.git import reachability
from cairn.git.engine import Engine
from cairn.git.reachability import NotReachable
from cairn.git.types import ZERO_OID, Oid

pytest_plugins = ["tests.factories.engines"]


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"folder/a.txt": "one\n"}, "one")
    return made


async def require(engine: Engine, store: int, *oids: Oid) -> None:
    state = await engine.state(store)
    snapshot = await engine.snapshot(state)
    async with engine.view(state) as view:
        await engine.reachability.require(state, view, oids, tips=[ref.oid for ref in snapshot.refs])


async def test_everything_a_root_reaches_is_reachable_and_nothing_else(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    inside = [client.oid(name) for name in ("HEAD", "HEAD^{tree}", "HEAD:folder", "HEAD:folder/a.txt")]
    client.commit({"folder/a.txt": "two\n"})
    await push_commit(engine, store, client)
    await require(engine, store, *inside)
    outside = client.commit({"never": "pushed"})
    for oid in (outside, client.oid("HEAD:never"), Oid("1" * 40)):
        with pytest.raises(NotReachable, match=oid):
            await require(engine, store, *inside, oid)


async def test_a_proof_is_remembered_for_its_time_and_its_epoch(
    engine: Engine, client: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:

    store = await make_store(engine)
    await push_commit(engine, store, client)
    tree, state = client.oid("HEAD^{tree}"), await engine.state(store)
    await require(engine, store, tree)
    proofs = engine.reachability
    assert proofs.unproved(state, [tree]) == set()
    assert proofs.unproved(replace(state, cache_epoch=state.cache_epoch + 1), [tree]) == {tree}
    assert proofs.unproved(replace(state, id=store + 1), [tree]) == {tree}
    monkeypatch.setattr(reachability, "_REMEMBERED_SECONDS", 0)
    assert proofs.unproved(state, [tree]) == {tree}


async def test_the_memory_of_proofs_is_bounded(
    engine: Engine, client: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachability, "_REMEMBERED_MAX", 2)
    store = await make_store(engine)
    await push_commit(engine, store, client)
    await require(engine, store, *(client.oid(name) for name in ("HEAD^{tree}", "HEAD:folder", "HEAD:folder/a.txt")))
    assert len(engine.reachability._proved) == 2


async def test_a_tip_that_came_after_the_view_is_not_in_the_way(engine: Engine, client: StockRepository) -> None:
    """A page reads its state, opens the view and then the refs; a push in between names what the view has not got."""
    store = await make_store(engine)
    await push_commit(engine, store, client)
    state, tree = await engine.state(store), client.oid("HEAD^{tree}")
    async with engine.view(state) as view:
        old = client.oid("HEAD")
        new = client.commit({"later": "later"})
        assert (await push(engine, store, [(MAIN, old, new)], client.pack([new], without=[old]))).is_ok
        await engine.reachability.require(state, view, [tree], tips=[new])
        with pytest.raises(NotReachable):
            await engine.reachability.require(state, view, [Oid("1" * 40)], tips=[new])


async def test_a_value_of_the_last_days_still_reaches(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    head = client.oid("HEAD")
    assert (await push(engine, store, [(MAIN, head, ZERO_OID)])).is_ok
    await require(engine, store, head, client.oid("HEAD^{tree}"))
