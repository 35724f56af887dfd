"""The deny list is asked for every pack, of the right store."""

from pathlib import Path

import pytest
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store

from cairn.git.engine import Engine
from cairn.git.models import PurgedObject
from cairn.git.purged_objects import ObjectPurged, read_purged, refuse_purged
from cairn.git.quarantine import IndexedPack

pytest_plugins = ["tests.factories.engines"]


async def test_a_pack_with_a_purged_object_is_refused_by_its_store_alone(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({"file": "content\n"})
    client.git("repack", "-adq")
    [path] = (client.objects / "pack").glob("*.pack")
    data = path.read_bytes()
    pack = IndexedPack(path, path.with_suffix(".idx"), 3, (), len(data), "")
    blob = client.oid("HEAD:file")
    one, other = await make_store(engine), await make_store(engine)
    await refuse_purged(engine.database, one, pack)
    now = await engine.database.now()
    async with engine.database.write() as session:
        session.add(PurgedObject(store_id=one, oid="1" * 40, at=now))
        session.add(PurgedObject(store_id=other, oid=blob, at=now))
    assert await read_purged(engine.database, other) == {blob}
    await refuse_purged(engine.database, one, pack)
    with pytest.raises(ObjectPurged, match=f"object {blob} was purged"):
        await refuse_purged(engine.database, other, pack)
