from pathlib import Path

from tests.factories.forge import open_forge

from cairn.git.store_sizes import read_sizes


async def test_a_store_is_as_large_as_the_packs_it_has(tmp_path: Path, sqlite_template: Path) -> None:
    async with open_forge(tmp_path / "forge", sqlite_template) as forge:
        ada = await forge.person("ada")
        empty = await forge.repository(ada, "empty")
        full = await forge.repository(ada, "full", files={"a": b"1"})
        await forge.commit(ada, full, {"b": b"2"})
        async with forge.database.read() as session:
            sizes = await read_sizes(session, [empty.store_id, full.store_id])
            assert await read_sizes(session, []) == {}
        state = await forge.engine.state(full.store_id)
        assert sizes == {empty.store_id: 0, full.store_id: await forge.engine.views.bytes_of(state)}
        assert sizes[full.store_id] > 0
