"""The store row: what one query tells of it, and the lock that keeps writers apart."""

import asyncio

import pytest

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.models import Store
from cairn.git.store_state import StoreGone, lock_stores, read_state


@pytest.fixture
async def store(any_database: Database) -> int:
    async with any_database.write() as session:
        made = Store(head_target=b"refs/heads/caf\xe9", created_at=await database_now(session))
        session.add(made)
        await session.flush()
        return made.id


async def test_a_state_has_the_bytes_and_versions_of_its_row(any_database: Database, store: int) -> None:
    state = await read_state(any_database, store)
    assert (state.id, state.head_target, state.ref_version) == (store, b"refs/heads/caf\xe9", 0)
    with pytest.raises(StoreGone):
        await read_state(any_database, store + 1)
    async with any_database.write() as session:
        assert set(await lock_stores(session, [store])) == {store}
        with pytest.raises(StoreGone):
            await lock_stores(session, [store, store + 1])


async def test_writers_of_one_store_take_turns(any_database: Database, store: int) -> None:
    async def count() -> None:
        async with any_database.write() as session:
            locked = (await lock_stores(session, [store]))[store]
            seen = locked.ref_version
            await asyncio.sleep(0.01)
            locked.ref_version = seen + 1

    await asyncio.gather(*(count() for _ in range(5)))
    assert (await read_state(any_database, store)).ref_version == 5
