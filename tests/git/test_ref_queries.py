"""Reading refs: snapshots that know their moment, prefixes, and a memory that stays within its bound."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update
from tests.factories.pushes import MAIN, allow

from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git import ref_queries
from cairn.git.landing import Staged, land
from cairn.git.models import RefLog, Store
from cairn.git.ref_queries import RETENTION, RefReader, after_prefix, retained_roots
from cairn.git.ref_transaction import RefUpdate
from cairn.git.store_state import StoreGone, read_state
from cairn.git.types import ZERO_OID, Oid

A, B, C = (Oid(digit * 40) for digit in "abc")


@pytest.fixture
async def store(any_database: Database) -> int:
    async with any_database.write() as session:
        made = Store(head_target=b"refs/heads/caf\xe9", created_at=await database_now(session))
        session.add(made)
        await session.flush()
        return made.id


async def move(database: Database, store: int, *updates: RefUpdate) -> None:
    async with database.read() as session:
        now = await database_now(session)
    staged = Staged(store_id=store, updates=updates, checked_at=now)
    outcomes = await land(database, staged, push_id=random_id(), actor="tester", within=allow)
    assert all(outcome.moved for outcome in outcomes)


async def test_a_snapshot_is_ordered_and_found_in(any_database: Database, store: int) -> None:
    reader = RefReader(any_database)
    assert (await reader.snapshot(await read_state(any_database, store))).refs == ()
    names = [b"refs/heads/b", b"refs/heads/a", b"refs/heads/\xff", b"refs/tags/v1"]
    await move(any_database, store, *(RefUpdate(name, ZERO_OID, A, peeled=B) for name in names))
    snapshot = await reader.snapshot(await read_state(any_database, store))
    assert [ref.name for ref in snapshot.refs] == sorted(names)
    assert snapshot.tips == {A, B}
    for name in names:
        found = snapshot.find(name)
        assert found is not None
        assert (found.oid, found.peeled) == (A, B)
        assert await reader.find(store, name) == found
    for name in (b"", b"refs/heads/aa", b"refs/zzz/z"):
        assert snapshot.find(name) is None
        assert await reader.find(store, name) is None


async def test_a_later_snapshot_says_which_state_it_belongs_to(any_database: Database, store: int) -> None:
    early = await read_state(any_database, store)
    await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A))
    snapshot = await RefReader(any_database).snapshot(early)
    now = await read_state(any_database, store)
    assert snapshot.find(MAIN) is not None
    assert snapshot.fresher(early) == now == snapshot.fresher(now)
    await move(any_database, store, RefUpdate(MAIN, A, B))
    later = await read_state(any_database, store)
    assert snapshot.fresher(later) == later


async def test_a_store_that_is_gone_has_no_snapshot(any_database: Database, store: int) -> None:

    state = replace(await read_state(any_database, store), id=store + 1)
    with pytest.raises(StoreGone):
        await RefReader(any_database).snapshot(state)


async def test_prefixes_are_answered_from_the_index_and_from_memory_alike(any_database: Database, store: int) -> None:
    names = [
        b"refs/heads/feature/a",
        b"refs/heads/feature/b",
        b"refs/heads/featurf",
        b"refs/heads/main",
        b"refs/tags/v",
    ]
    await move(any_database, store, *(RefUpdate(name, ZERO_OID, A) for name in names))
    state = await read_state(any_database, store)
    for prefixes in (
        [b"refs/heads/feature"], [b"refs/heads/feature/", b"refs/heads/feature/a"], [b"refs/tags/v", b"refs/heads/ma"],
        [b"refs/heads/nothing"], [b"refs/heads/"], [b""], [], [b"HEAD"], [b"refs/heads/\xff\xff"],
    ):  # fmt: skip
        cold = RefReader(any_database)
        warm = RefReader(any_database)
        await warm.snapshot(state)
        expected = [name for name in sorted(names) if not prefixes or name.startswith(tuple(prefixes))]
        for reader in (cold, warm):
            assert [ref.name for ref in await reader.with_prefixes(state, prefixes)] == expected, prefixes


def test_what_comes_after_a_prefix() -> None:
    assert after_prefix(b"refs/a") == b"refs/b"
    assert after_prefix(b"a\xff") == b"b"
    assert after_prefix(b"\xff\xff") > b"\xff\xff" * 2


async def test_the_memory_of_snapshots_counts_each_once(
    any_database: Database, store: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that read the same version at once must not fill the memory with what is not there."""
    monkeypatch.setattr(ref_queries, "_SNAPSHOT_REFS_MAX", 10)
    reader = RefReader(any_database)
    old = ZERO_OID
    for number in range(12):
        new = Oid(f"{number + 1:040x}")
        await move(any_database, store, RefUpdate(MAIN, old, new))
        old, state = new, await read_state(any_database, store)
        await asyncio.gather(*(reader.snapshot(state) for _ in range(4)))
        assert reader._held == sum(len(held.refs) + 1 for held in reader._snapshots.values()) <= 10


async def test_the_roots_are_the_tips_and_fourteen_days_up_to_the_state(any_database: Database, store: int) -> None:
    await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A))
    await move(any_database, store, RefUpdate(MAIN, A, B))
    state = await read_state(any_database, store)
    await move(any_database, store, RefUpdate(MAIN, B, C))
    async with any_database.read() as session:
        assert await retained_roots(session, state, [B]) == [A, B]
    async with any_database.write() as session:
        long_ago = await database_now(session, plus=-2 * RETENTION)
        await session.execute(update(RefLog).where(RefLog.store_id == store).values(at=long_ago))
    async with any_database.read() as session:
        assert await retained_roots(session, state, [B]) == [B]
