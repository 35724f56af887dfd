"""The doctor finds each kind of damage, names it, mends what is safe, and finds nothing in a healthy store."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from tests.factories.passing_time import let_pass
from tests.factories.pushes import MAIN, make_store, pieces, push
from tests.factories.raw_packs import BLOB, COMMIT, TREE, object_id, raw_pack, whole
from tests.factories.small_pushes import SmallPusher

from cairn.base.ids import random_id
from cairn.git import doctor, index_building
from cairn.git.collection import collect
from cairn.git.compaction import compact_once
from cairn.git.condemned_packs import delete_condemned
from cairn.git.doctor import Finding, examine, mend
from cairn.git.engine import Engine
from cairn.git.index_building import build_indexes
from cairn.git.models import ManifestEntry, Pack, PackState, Ref, Upload, UploadState
from cairn.git.ref_transaction import RefUpdate
from cairn.git.staging import push_limits
from cairn.git.types import ZERO_OID, Oid

pytest_plugins = ["tests.factories.engines"]

PERSON = b"Ada <ada@example.org> 1700000000 +0000"


@pytest.fixture
async def pusher(engine: Engine) -> SmallPusher:
    made = SmallPusher(engine, await make_store(engine))
    await made.push_many(3)
    return made


async def sentences(engine: Engine, store: int) -> list[str]:
    return [finding.sentence for finding in await examine(engine, store)]


async def some_pack(engine: Engine, store: int) -> Pack:
    async with engine.database.read() as session:
        found = await session.scalars(select(Pack).where(Pack.store_id == store).order_by(Pack.id).limit(1))
        return found.one()


async def forget_views(engine: Engine) -> None:
    """Empty the node's cache: what is read next comes from the object store."""
    for folder in ("views", "packs"):
        for entry in (engine.cache.root / folder).iterdir():
            entry.rename(engine.cache.root / "tmp" / random_id())


async def test_a_healthy_store_has_no_findings_at_any_stage_of_its_life(engine: Engine, pusher: SmallPusher) -> None:
    assert await examine(engine, await make_store(engine)) == []
    assert await examine(engine, pusher.store) == []
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    assert await examine(engine, pusher.store) == []
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack).where(Pack.condemned_at.is_not(None))):
            assert pack.condemned_at is not None
            pack.condemned_at -= timedelta(hours=7)
    assert (await delete_condemned(engine.database, engine.storage)).packs == 3
    assert await examine(engine, pusher.store) == []
    async with engine.database.write() as session:
        await engine.delete_store(session, pusher.store)
    assert await examine(engine, pusher.store) == []


@pytest.mark.parametrize("ending", ["pack", "idx"])
async def test_a_missing_or_cut_file_of_a_pack_is_named(engine: Engine, pusher: SmallPusher, ending: str) -> None:
    key = f"{(await some_pack(engine, pusher.store)).key}.{ending}"
    await engine.storage.put(key, b"cut")
    [finding] = await sentences(engine, pusher.store)
    assert finding.startswith(f"{key} has 3 bytes instead of ")
    await engine.storage.delete(key)
    [finding] = await sentences(engine, pusher.store)
    assert finding.startswith(f"{key} is missing from the object store; restore this key")
    await forget_views(engine)
    assert f"{key} cannot be read whole, so the refs could not be followed." in await sentences(engine, pusher.store)


async def test_a_pack_altered_without_changing_its_size_is_found_when_it_is_fetched(
    engine: Engine, pusher: SmallPusher
) -> None:
    pack = await some_pack(engine, pusher.store)
    data = await engine.storage.get(f"{pack.key}.pack", max_bytes=1 << 20)
    await engine.storage.put(f"{pack.key}.pack", data[:-30] + bytes(30))
    await forget_views(engine)
    assert await sentences(engine, pusher.store) == [
        f"{pack.key}.pack cannot be read whole, so the refs could not be followed."
    ]


async def test_a_missing_replaced_pack_is_told_as_harmless(engine: Engine, pusher: SmallPusher) -> None:
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    async with engine.database.read() as session:
        key = (await session.scalars(select(Pack.key).where(Pack.state == PackState.CONDEMNED).limit(1))).one()
    await engine.storage.delete(f"{key}.pack")
    [finding] = await sentences(engine, pusher.store)
    assert finding.endswith("the pack was replaced already, so nothing is lost.")


async def test_refs_and_objects_that_no_pack_has_are_named(engine: Engine, pusher: SmallPusher) -> None:
    async with engine.database.write() as session:
        await session.execute(update(Ref).where(Ref.store_id == pusher.store, Ref.name == MAIN).values(oid="1" * 40))
    engine.refs._snapshots.clear()
    assert await sentences(engine, pusher.store) == [
        f"refs/heads/main points to {'1' * 40}, which is in no pack of this store."
    ]


async def test_a_hole_in_the_history_is_named_whatever_kind_of_object_it_is(engine: Engine) -> None:
    for kind in (COMMIT, TREE, BLOB):
        store, missing = await _store_with_hole(engine, kind)
        assert await sentences(engine, store) == [
            f"Object {missing}, which the refs reach, is in no pack of this store."
        ], kind


async def _store_with_hole(engine: Engine, kind: int) -> tuple[int, Oid]:
    """Return a store whose first pack (one object of this kind) the manifest no longer names."""
    store = await make_store(engine)
    blob = b"content"
    blob_id = object_id("blob", blob)
    tree = b"100644 file\0" + bytes.fromhex(blob_id)
    tree_id = object_id("tree", tree)
    tail = b"author " + PERSON + b"\ncommitter " + PERSON + b"\n\nchange\n"
    first = f"tree {tree_id}\n".encode() + tail
    first_id = object_id("commit", first)
    second = f"tree {tree_id}\nparent {first_id}\n".encode() + tail
    second_id = object_id("commit", second)
    objects = {
        COMMIT: (first_id, whole(COMMIT, first)),
        TREE: (tree_id, whole(TREE, tree)),
        BLOB: (blob_id, whole(BLOB, blob)),
    }
    everything = [data for _, data in objects.values()]
    assert (await push(engine, store, [(MAIN, ZERO_OID, first_id)], raw_pack(everything))).is_ok
    # All but the lost object come again with the second push, so that only it is missing without the first pack.
    again = [data for number, (_, data) in objects.items() if number != kind]
    report = await push(engine, store, [(MAIN, first_id, second_id)], raw_pack([*again, whole(COMMIT, second)]))
    assert report.is_ok
    async with engine.database.write() as session:
        lost = (await session.scalars(select(Pack.id).where(Pack.store_id == store).order_by(Pack.created_at))).first()
        await session.execute(delete(ManifestEntry).where(ManifestEntry.pack_id == lost))
        await session.execute(update(Pack).where(Pack.id == lost).values(state=PackState.CONDEMNED))
    await forget_views(engine)
    return store, objects[kind][0]


async def test_rows_that_contradict_each_other_are_named(engine: Engine, pusher: SmallPusher) -> None:
    pack = await some_pack(engine, pusher.store)
    async with engine.database.write() as session:
        await session.execute(update(Pack).where(Pack.id == pack.id).values(state=PackState.CONDEMNED))
    assert await sentences(engine, pusher.store) == [f"The manifest names pack {pack.id}, which is condemned."]
    assert await compact_once(engine, pusher.store, packs_max=99) is None
    async with engine.database.write() as session:
        await engine.delete_store(session, pusher.store)
        await session.execute(update(Pack).where(Pack.id == pack.id).values(state=PackState.LIVE))
    assert await sentences(engine, pusher.store) == [
        f"Pack {pack.id} is live, but no manifest names it: nobody reads or deletes it."
    ]


async def test_unknown_keys_are_named_and_never_deleted(engine: Engine, pusher: SmallPusher) -> None:
    key = f"packs/{pusher.store}/ab/stranger.pack"
    await engine.storage.put(key, b"PACK")
    [finding] = await examine(engine, pusher.store)
    assert finding.sentence.startswith(f"No row knows {key} (4 bytes)")
    assert not finding.is_mendable
    await mend(engine, pusher.store)
    assert await engine.storage.exists(key)


async def test_uploads_that_were_not_swept_are_named_and_mended(engine: Engine, pusher: SmallPusher) -> None:
    """Also a second time, when a paused node wrote after the sweeper: and what landed stays."""
    new, pack = pusher.make(None)
    await engine.stager.stage_push(
        await engine.state(pusher.store),
        [RefUpdate(b"refs/heads/late", ZERO_OID, new)],
        pieces(pack),
        limits=push_limits(engine.settings, is_first=False),
        is_atomic=False,
    )
    assert await examine(engine, pusher.store) == []
    async with engine.database.write() as session:
        upload = (await session.scalars(select(Upload).where(Upload.state == UploadState.OPEN))).one()
        upload.expires_at -= timedelta(hours=4)
        keys = list(upload.keys)
    [finding] = await examine(engine, pusher.store)
    assert finding.is_mendable
    assert "was not swept" in finding.sentence
    await mend(engine, pusher.store)
    assert await examine(engine, pusher.store) == []
    assert not await engine.storage.exists(keys[0])
    await engine.storage.put(keys[0], b"late")
    [finding] = await examine(engine, pusher.store)
    assert finding == Finding(f"Upload {upload.id} expired and left bytes in the object store.", is_mendable=True)
    await mend(engine, pusher.store)
    assert await examine(engine, pusher.store) == []


async def test_a_lost_index_costs_speed_and_is_mended(
    engine: Engine, pusher: SmallPusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_building, "OBJECTS_MIN", 0)
    assert await build_indexes(engine, pusher.store)
    assert await examine(engine, pusher.store) == []
    key = next(iter(await _keys(engine, "indexes")))
    await engine.storage.delete(key)
    findings = await examine(engine, pusher.store)
    assert [(key in found.sentence, found.is_mendable) for found in findings] == [(True, True)]
    await mend(engine, pusher.store)
    assert await examine(engine, pusher.store) == []


async def test_a_lost_undo_pack_is_named(engine: Engine, pusher: SmallPusher) -> None:
    state = await engine.state(pusher.store)
    head = (await engine.snapshot(state)).refs[0]
    assert (await push(engine, pusher.store, [(head.name, head.oid, ZERO_OID)])).is_ok
    await let_pass(engine.database, timedelta(days=40))
    assert await collect(engine, pusher.store)
    keys = await _keys(engine, "undo")
    assert keys
    assert await examine(engine, pusher.store) == []
    for key in keys:
        await engine.storage.delete(key)
    assert all("cannot be restored" in sentence for sentence in await sentences(engine, pusher.store))
    assert len(await sentences(engine, pusher.store)) == len(keys)


async def _keys(engine: Engine, prefix: str) -> list[str]:
    return [found.key async for found in engine.storage.list(f"{prefix}/")]


async def test_much_damage_is_counted_instead_of_told(
    engine: Engine, pusher: SmallPusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "EXAMPLES_MAX", 2)
    for number in range(5):
        await engine.storage.put(f"packs/{pusher.store}/ab/{number}", b"x")
    found = await sentences(engine, pusher.store)
    assert len(found) == 3
    assert found[-1] == "And 3 more unknown keys."
