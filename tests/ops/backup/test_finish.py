"""What was purged does not come back, whatever backup is restored; what came after a backup is told."""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.backups import Site, empty_place, restored
from tests.factories.git_repositories import init
from tests.factories.pushes import MAIN, fresh_clone, make_store, push_commit, refs_of
from tests.factories.small_pushes import SmallPusher

from cairn.audit.models import AuditEntry
from cairn.git.engine import Engine
from cairn.git.models import PurgedObject
from cairn.git.purge import purge
from cairn.git.reading import open_repository
from cairn.git.types import Oid
from cairn.ops.backup.denials import read_denials, write_denials
from cairn.ops.backup.finish import ACTION, lost_packs

pytest_plugins = ["tests.factories.backups"]


async def _nothing(session: AsyncSession) -> None:
    """Authorize nobody: this is a test."""


async def _has(engine: Engine, store: int, oid: Oid) -> bool:
    async with engine.view(await engine.state(store)) as view:
        return oid in open_repository(view.path)


async def test_an_older_backup_honours_a_later_purge(site: Site, tmp_path: Path) -> None:
    store = await make_store(site.engine)
    client = init(tmp_path / "client")
    client.commit({"README.md": b"hello"}, "Begin")
    assert (await push_commit(site.engine, store, client)).is_ok
    client.git("checkout", "-qb", "leak")
    client.commit({"secret.txt": b"the password is swordfish"}, "Leak")
    assert (await push_commit(site.engine, store, client, b"refs/heads/leak")).is_ok
    secret = client.oid("HEAD:secret.txt")
    older = await site.back_up()

    pusher = SmallPusher(site.engine, store, refs=dict(await refs_of(site.engine, store)))
    await pusher.delete(b"refs/heads/leak")
    await purge(site.engine, [store], [secret], within=_nothing)
    assert await write_denials(site.engine.database, site.target) >= 2
    assert await write_denials(site.engine.database, site.target) == 0, "nothing is written twice"
    assert ("object", secret) in {(item.what, item.id) for item in await read_denials(site.target)}

    async with restored(site.target, older.id, empty_place(tmp_path / "new")) as there:
        assert there.finished.purged == 1
        assert there.finished.dropped == [(store, b"refs/heads/leak")]
        assert not await _has(there.engine, store, secret)
        async with there.engine.database.read() as session:
            assert (await session.scalars(select(PurgedObject.oid))).all() == [secret]
            entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == ACTION))).one()
        assert entry.target == older.id
        assert await verdict_of_main(there.engine, store, tmp_path / "clone") == client.oid("main")


async def verdict_of_main(engine: Engine, store: int, folder: Path) -> Oid:
    """Return where main is, once a fresh clone of it was checked by git."""
    folder.mkdir()
    await fresh_clone(engine, store, folder)
    return (await refs_of(engine, store))[MAIN]


async def test_packs_that_no_row_names_are_told_by_store(site: Site, tmp_path: Path) -> None:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(2)
    assert await lost_packs(site.engine.database, site.engine.storage) == []
    for name in ("a" * 32, "b" * 32):
        await site.engine.storage.put(f"packs/{pusher.store}/{name}.pack", b"PACK")
    [lost] = await lost_packs(site.engine.database, site.engine.storage)
    assert (lost.store_id, lost.packs) == (pusher.store, 2)
    assert lost.first_at is not None
    assert lost.last_at is not None
    assert await verdict_of_main(site.engine, pusher.store, tmp_path / "clone") == pusher.refs[MAIN]
