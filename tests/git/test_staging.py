"""``stage``: what waits in a quarantine is checked against the state it was made for, and uploaded to land."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import (
    EMPTY_PACK,
    MAIN,
    allow,
    make_store,
    pieces,
    push,
    push_commit,
    refs_of,
    verdict,
)

from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.git.engine import Engine
from cairn.git.quarantine import ObjectMissing, PackTooLarge, Quarantine
from cairn.git.ref_transaction import RefMoved, RefUpdate, VerifyRef
from cairn.git.staging import NotACommit, import_limits, push_limits
from cairn.git.types import ZERO_OID, Oid

pytest_plugins = ["tests.factories.engines"]

SIDE = b"refs/heads/side"


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"a.txt": "one\n"}, "one")
    return made


async def test_values_that_came_after_the_state_do_not_disturb_a_push(engine: Engine, client: StockRepository) -> None:
    """Between the state and the check another push lands. Its objects are not in this push's view: a walk that names
    them as roots would end in "missing"."""
    store = await make_store(engine)
    await push_commit(engine, store, client)
    client.commit({"side": "side"})
    await push_commit(engine, store, client, SIDE)
    side = client.oid("HEAD")
    early = await engine.state(store)
    engine.refs._snapshots.clear()  # as on another node: the state is known, its refs are not
    client.commit({"later": "later"})
    await push_commit(engine, store, client, SIDE)
    client.git("reset", "-q", "--hard", side)
    new = client.commit({"on side": "x"})
    # The new branch builds on side's tip, which is neither HEAD nor an old value: all roots are asked for.
    updates = [RefUpdate(b"refs/heads/new", ZERO_OID, new)]
    limits = push_limits(engine.settings, is_first=False)
    for state in (early, await engine.state(store)):
        pack = pieces(client.pack([new], without=[side]))
        staged = await engine.stager.stage_push(state, updates, pack, limits=limits, is_atomic=False)
        assert staged.pack is not None
    outcomes = await engine.land(staged, push_id=random_id(), actor="tester", within=allow)
    assert outcomes[0].moved


async def test_a_remembered_snapshot_of_the_state_keeps_later_roots_out(
    engine: Engine, client: StockRepository
) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    client.commit({"side": "side"})
    await push_commit(engine, store, client, SIDE)
    side, early = client.oid("HEAD"), await engine.state(store)
    await engine.snapshot(early)
    client.commit({"later": "later"})
    await push_commit(engine, store, client, SIDE)
    updates = [RefUpdate(b"refs/heads/new", ZERO_OID, side)]
    limits = push_limits(engine.settings, is_first=False)
    staged = await engine.stager.stage_push(early, updates, pieces(EMPTY_PACK), limits=limits, is_atomic=False)
    assert staged.pack is None


async def test_a_value_of_the_last_fourteen_days_may_be_relied_on_and_a_stranger_not(
    engine: Engine, client: StockRepository
) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    gone = client.commit({"gone": "gone"})
    await push_commit(engine, store, client, SIDE)
    assert (await push(engine, store, [(SIDE, gone, ZERO_OID)])).is_ok
    assert (await push(engine, store, [(SIDE, ZERO_OID, gone)], EMPTY_PACK)).is_ok
    other = await make_store(engine)
    report = await push(engine, other, [(MAIN, ZERO_OID, gone)], EMPTY_PACK)
    assert "missing" in report.unpacked


async def test_server_made_objects_land_whole(engine: Engine, client: StockRepository, tmp_path: Path) -> None:
    """D7, rule D: what the server writes is packed with everything new tips reach and no root does."""
    store = await make_store(engine)
    await push_commit(engine, store, client)
    old = client.oid("HEAD")
    tip = client.commit({"b": "made on the server"})
    loose = client.objects

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        for path in loose.glob("??/*"):
            folder = quarantine.objects / path.parent.name
            folder.mkdir(exist_ok=True)
            (folder / path.name).write_bytes(path.read_bytes())
        return [RefUpdate(MAIN, old, tip)]

    staged = await engine.stage(store, write)
    assert staged.pack is not None
    assert staged.pack.objects == 3
    outcomes = await engine.land(staged, push_id=random_id(), actor="server", within=allow)
    assert outcomes[0].moved
    assert await verdict(engine, store, tmp_path / "verdict") == {MAIN: tip}


async def test_a_plan_that_writes_nothing_new_has_no_pack_and_pins_what_it_saw(
    engine: Engine, client: StockRepository
) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    head, state = client.oid("HEAD"), await engine.state(store)

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        return [RefUpdate(SIDE, ZERO_OID, head)]

    staged = await engine.stager.stage_written(state, write, verify=[VerifyRef(store, MAIN, head)])
    assert staged.pack is None
    client.commit({"c": "c"})
    await push_commit(engine, store, client)
    with pytest.raises(RefMoved):
        await engine.land(staged, push_id=random_id(), actor="server", within=allow)
    assert SIDE not in await refs_of(engine, store)


async def test_a_server_made_branch_of_something_else_is_refused(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)

    def pointing(oid: Oid) -> RefUpdate:
        return RefUpdate(SIDE, ZERO_OID, oid)

    async def write_tree(quarantine: Quarantine) -> Sequence[RefUpdate]:
        return [pointing(client.oid("HEAD^{tree}"))]

    with pytest.raises(NotACommit):
        await engine.stage(store, write_tree)


async def test_limits_end_a_push_by_name(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    state, new = await engine.state(store), client.oid("HEAD")
    limits = push_limits(engine.settings, is_first=True)
    for name in ("pack_bytes", "objects", "file_bytes"):
        limit = replace(getattr(limits, name), value=1)
        with pytest.raises(PackTooLarge, match=limit.setting):
            await engine.stager.stage_push(
                state,
                [RefUpdate(MAIN, ZERO_OID, new)],
                pieces(client.pack([new])),
                limits=replace(limits, **{name: limit}),
                is_atomic=False,
            )
    assert list(engine.cache.quarantines.iterdir()) == []
    with pytest.raises(ObjectMissing):
        await engine.stager.stage_push(
            state, [RefUpdate(MAIN, ZERO_OID, new)], pieces(EMPTY_PACK), limits=limits, is_atomic=False
        )


def test_first_pushes_and_imports_have_limits_of_their_own() -> None:
    settings = Settings()
    usual, first = (push_limits(settings, is_first=is_first) for is_first in (False, True))
    assert usual.pack_bytes.setting == "CAIRN_MAX_PUSH_BYTES"
    assert first.pack_bytes.setting == "CAIRN_MAX_FIRST_PUSH_BYTES"
    assert usual.pack_bytes.value < first.pack_bytes.value < import_limits(settings).pack_bytes.value
    assert usual.objects.value < first.objects.value < import_limits(settings).objects.value
