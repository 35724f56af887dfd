"""Manifests: packs and version of one moment; a pack is condemned when no manifest names it."""

from pathlib import Path

from sqlalchemy import insert, select
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store, push_commit

from cairn.git.engine import Engine
from cairn.git.manifest import drop_manifest, read_manifest
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState

pytest_plugins = ["tests.factories.engines"]


async def test_a_pack_that_a_fork_names_outlives_its_store(engine: Engine, tmp_path: Path) -> None:
    parent, fork = await make_store(engine), await make_store(engine)
    assert await read_manifest(engine.database, parent) == (0, [])
    assert await read_manifest(engine.database, fork + 100) == (0, [])
    client = init(tmp_path / "client")
    for number in range(2):
        client.commit({"a": str(number)})
        await push_commit(engine, parent, client)
    version, packs = await read_manifest(engine.database, parent)
    assert (version, len(packs)) == (2, 2)
    shared = packs[0].id
    async with engine.database.write() as session:
        await session.execute(
            insert(ManifestEntry).values(store_id=fork, pack_store_id=parent, pack_id=shared, kind=ManifestKind.BASE)
        )
    async with engine.database.write() as session:
        await drop_manifest(session, parent)
    assert (await read_manifest(engine.database, parent))[1] == []
    assert [pack.id for pack in (await read_manifest(engine.database, fork))[1]] == [shared]
    async with engine.database.write() as session:
        rows = await session.execute(select(Pack.id, Pack.state))
        states = {row.id: row.state for row in rows}
        assert states == {packs[0].id: PackState.LIVE, packs[1].id: PackState.CONDEMNED}
        await drop_manifest(session, fork)
    async with engine.database.read() as session:
        assert set(await session.scalars(select(Pack.state))) == {PackState.CONDEMNED}
