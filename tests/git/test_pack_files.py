"""Packs on their way into the object store: announced first, verified, adopted, and never under a used key."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store

from cairn.base.ids import random_id
from cairn.git.engine import Engine
from cairn.git.models import Upload, UploadState
from cairn.git.pack_files import UPLOAD_LIFETIME, announce_upload, pack_key, upload_pack
from cairn.git.quarantine import IndexedPack
from cairn.storage.errors import StorageUnavailable

pytest_plugins = ["tests.factories.engines"]


@pytest.fixture
def pack(tmp_path: Path) -> IndexedPack:
    """A real pack with its index."""
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    client.repack()
    path = next(client.objects.glob("pack/*.pack"))
    return IndexedPack(path, path.with_suffix(".idx"), 3, (), path.stat().st_size, "0" * 40)


async def test_a_pack_is_announced_before_it_is_put(engine: Engine, pack: IndexedPack) -> None:
    store = await make_store(engine)
    now = await engine.database.now()
    upload = await announce_upload(engine.database, store, at=now)
    async with engine.database.read() as session:
        row = (await session.execute(select(Upload).where(Upload.id == upload.id))).scalar_one()
    assert row.keys == [f"{upload.key}.pack", f"{upload.key}.idx"]
    assert row.state == UploadState.OPEN
    assert abs(row.expires_at - now - UPLOAD_LIFETIME) < timedelta(seconds=1)
    assert [found.key async for found in engine.storage.list("packs")] == []

    adopted: list[str] = []
    uploaded = await upload_pack(engine.storage, upload, pack, adopt=lambda name, *paths: adopted.append(name))
    assert adopted == [upload.id] == [uploaded.id]
    assert await engine.storage.get(f"{upload.key}.pack", max_bytes=1 << 20) == pack.path_pack.read_bytes()
    assert (uploaded.pack_bytes, uploaded.index_bytes) == (pack.bytes, pack.path_idx.stat().st_size)


async def test_a_store_that_fails_is_told_as_itself_and_nothing_is_adopted(
    engine: Engine, pack: IndexedPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await announce_upload(engine.database, await make_store(engine), at=await engine.database.now())

    async def away(key: str, path: Path) -> int:
        raise StorageUnavailable("the object store is away")

    monkeypatch.setattr(engine.storage, "put_file", away)
    adopted: list[str] = []
    with pytest.raises(StorageUnavailable):
        await upload_pack(engine.storage, upload, pack, adopt=lambda name, *paths: adopted.append(name))
    assert adopted == []


def test_keys_are_made_of_ids_only() -> None:
    pack_id = random_id()
    assert pack_key(7, pack_id) == f"packs/7/{pack_id}"
    assert pack_key(7, pack_id) != pack_key(8, pack_id)
