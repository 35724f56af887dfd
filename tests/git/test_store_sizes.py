from pathlib import Path

from sqlalchemy import func, select, update
from tests.factories.forge import Forge, open_forge
from tests.factories.pushes import EMPTY_PACK, push

from cairn.base.actor import SYSTEM
from cairn.git.compaction import compact_once
from cairn.git.models import ManifestEntry, Pack, Store
from cairn.git.store_sizes import mend_sizes, read_sizes
from cairn.git.types import ZERO_OID
from cairn.repositories.purge import purge_objects


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


async def test_sizes_follow_pushes_compaction_purges_and_deletion(tmp_path: Path, sqlite_template: Path) -> None:
    async with open_forge(tmp_path / "forge", sqlite_template) as forge:
        ada = await forge.person("ada")
        made = await forge.repository(ada, "made", files={"a": b"1"})
        for number in range(3):
            await forge.commit(ada, made, {f"file{number}": b"%d" % number})
        grown = await size_of(forge, made.store_id)
        assert await compact_once(forge.engine, made.store_id, packs_max=2)
        compacted = await size_of(forge, made.store_id)
        assert 0 < compacted < grown
        leaked = await forge.commit(ada, made, {"key": b"secret"}, branch=b"refs/heads/leak")
        before = await size_of(forge, made.store_id)
        assert (await push(forge.engine, made.store_id, [(b"refs/heads/leak", leaked, ZERO_OID)], EMPTY_PACK)).is_ok
        await purge_objects(forge.engine, SYSTEM, "ada", "made", [leaked])
        assert compacted < await size_of(forge, made.store_id) < before
        async with forge.database.write() as session:
            await forge.engine.delete_store(session, made.store_id)
        assert await size_of(forge, made.store_id) == 0
        assert await mend_sizes(forge.database) == 0


async def test_a_size_that_an_older_program_left_behind_is_mended(tmp_path: Path, sqlite_template: Path) -> None:
    async with open_forge(tmp_path / "forge", sqlite_template) as forge:
        ada = await forge.person("ada")
        made = [await forge.repository(ada, f"r{number}", files={"a": b"1"}) for number in range(3)]
        right = await size_of(forge, made[1].store_id)
        async with forge.database.write() as session:
            await session.execute(update(Store).where(Store.id == made[1].store_id).values(pack_bytes=1))
        assert await mend_sizes(forge.database) == 1
        assert await size_of(forge, made[1].store_id) == right


async def size_of(forge: Forge, store_id: int) -> int:
    """Return what the row says, which is what the manifest's packs have."""
    async with forge.database.read() as session:
        [said] = (await read_sizes(session, [store_id])).values()
        packs = select(func.coalesce(func.sum(Pack.pack_bytes), 0)).join(
            ManifestEntry, (ManifestEntry.pack_store_id == Pack.store_id) & (ManifestEntry.pack_id == Pack.id)
        )
        assert await session.scalar(packs.where(ManifestEntry.store_id == store_id)) == said
        return said
