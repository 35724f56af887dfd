"""The deny list in the target only grows, and reads back as it was."""

from pathlib import Path

from tests.factories.backups import Site, empty_place, restored
from tests.factories.pushes import make_store

from cairn.git.models import PurgedObject, PurgedPack, PurgedRoot
from cairn.ops.backup.denials import Denial, enter_denials, read_denials, write_denials

pytest_plugins = ["tests.factories.backups"]


async def test_every_backup_carries_over_what_was_purged_and_an_older_one_learns_of_it(
    site: Site, tmp_path: Path
) -> None:
    store, other = await make_store(site.engine), await make_store(site.engine)
    older = await site.back_up()
    now = await site.engine.database.now()
    async with site.engine.database.write() as session:
        session.add(PurgedObject(store_id=store, oid="a" * 40, at=now))
        session.add(PurgedRoot(store_id=store, oid="b" * 40))
        session.add(PurgedPack(store_id=other, pack_id="c" * 32, key=f"packs/{other}/{'c' * 32}", at=now))
    await site.back_up()
    denials = await read_denials(site.target)
    assert {(item.what, item.store_id, item.id) for item in denials} == {
        ("object", store, "a" * 40), ("root", store, "b" * 40), ("pack", other, "c" * 32)
    }  # fmt: skip
    assert await write_denials(site.engine.database, site.target) == 0
    async with restored(site.target, older.id, empty_place(tmp_path / "new")) as there:
        async with there.engine.database.read() as session:
            assert (await session.get(PurgedObject, (store, "a" * 40))) is not None
            assert (await session.get(PurgedRoot, (store, "b" * 40))) is not None
            pack = await session.get(PurgedPack, (other, "c" * 32))
        assert pack is not None
        assert await enter_denials(there.engine.database, denials) == {store: {"a" * 40}}, "entering twice is once"


async def test_a_denial_of_a_store_that_the_backup_has_not_is_left_out(site: Site) -> None:
    denial = Denial(what="object", store_id=987, id="a" * 40, at=await site.engine.database.now())
    assert await enter_denials(site.engine.database, [denial]) == {}
