"""Rows of indexes: the newest counts, older ones are condemned and deleted when nobody can be reading them."""

from datetime import timedelta

from sqlalchemy import insert, select, update
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.git.cached_files import StoredFile
from cairn.git.engine import Engine
from cairn.git.indexes import (
    CONDEMNED_KEPT,
    IndexFiles,
    IndexKind,
    StoreIndex,
    delete_condemned_indexes,
    index_key,
    known_index_keys,
    publish_index,
    read_indexes,
    stores_with_indexes,
)
from cairn.git.manifest import read_manifest
from cairn.git.models import Upload, UploadState

pytest_plugins = ["tests.factories.engines"]


async def publish(engine: Engine, store: int, *, kind: IndexKind = IndexKind.GRAPH) -> IndexFiles:
    """Publish something like an index over the present packs of a store."""
    _, packs = await read_manifest(engine.database, store)
    index_id = random_id()
    key = index_key(store, index_id, 0)
    await engine.storage.put(key, b"graph")
    made = IndexFiles(
        index_id, kind, (StoredFile("info/commit-graph", key, 5, "0" * 64),), frozenset(pack.id for pack in packs), 3
    )
    async with engine.database.write() as session:
        expires_at = await database_now(session, plus=timedelta(hours=1))
        await session.execute(
            insert(Upload).values(
                store_id=store, id=index_id, keys=[key], state=UploadState.OPEN, expires_at=expires_at
            )
        )
        assert await publish_index(session, store, made)
    return made


async def test_a_newer_index_takes_the_place_of_an_older_one_of_its_kind(engine: Engine) -> None:
    store = await make_store(engine)
    await SmallPusher(engine, store).push_many(2)
    version, packs = await read_manifest(engine.database, store)
    ids = [pack.id for pack in packs]
    old = await publish(engine, store)
    other = await publish(engine, store, kind=IndexKind.BITMAP)
    new = await publish(engine, store)
    assert {index.id for index in await read_indexes(engine.database, store, ids)} == {new.id, other.id}
    assert await read_indexes(engine.database, store, ids[:1]) == []
    assert new in await read_indexes(engine.database, store, [*ids, "another"])
    assert (await read_manifest(engine.database, store))[0] == version + 3
    async with engine.database.read() as session:
        assert await known_index_keys(session, store) == {made.files[0].key for made in (old, other, new)}
        assert await known_index_keys(session, store + 1) == set()
    assert await stores_with_indexes(engine.database) == [store]


async def test_condemned_indexes_are_deleted_after_their_time(engine: Engine) -> None:
    store = await make_store(engine)
    await SmallPusher(engine, store).push_many(1)
    old, new = await publish(engine, store), await publish(engine, store)
    assert await delete_condemned_indexes(engine.database, engine.storage) == 0
    async with engine.database.write() as session:
        long_ago = await database_now(session, plus=-CONDEMNED_KEPT - timedelta(seconds=1))
        await session.execute(
            update(StoreIndex).where(StoreIndex.condemned_at.is_not(None)).values(condemned_at=long_ago)
        )
    assert await delete_condemned_indexes(engine.database, engine.storage) == 1
    assert not await engine.storage.exists(old.files[0].key)
    assert await engine.storage.exists(new.files[0].key)
    async with engine.database.read() as session:
        assert list(await session.scalars(select(StoreIndex.id))) == [new.id]
