"""A drill restores for real, says what is wrong, and leaves nothing behind."""

from pathlib import Path

import pytest
from tests.factories.accounts import actor_of, make_account
from tests.factories.backups import Site, empty_place, restored
from tests.factories.lfs import send_object
from tests.factories.pushes import make_store
from tests.factories.repositories import make_repository
from tests.factories.small_pushes import SmallPusher

from cairn.base.secret_box import SecretBox
from cairn.git.models import Upload, UploadState
from cairn.identity.key_canary import require_secret_key
from cairn.lfs.objects import StoredObject
from cairn.ops.backup import drill as drilling
from cairn.ops.backup.drill import ScratchTooSmall, drill
from cairn.ops.backup.models import RunKind, RunState
from cairn.ops.backup.restore import SecretKeyMissing
from cairn.ops.backup.runs import drills_of, last_run
from cairn.ops.backup.target import COPIES, BackupNotFound

pytest_plugins = ["tests.factories.backups"]


async def _filled(site: Site) -> SmallPusher:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await make_store(site.engine)
    await pusher.push_many(2)
    return pusher


async def test_a_good_backup_passes_and_the_scratch_place_is_empty_afterwards(site: Site, tmp_path: Path) -> None:
    pusher = await _filled(site)
    async with site.engine.database.write() as session:  # one that nobody will finish must not look like an illness
        expires_at = (await site.engine.database.now()).replace(year=2020)
        session.add(Upload(store_id=pusher.store, id="a" * 32, keys=[], state=UploadState.OPEN, expires_at=expires_at))
    manifest = await site.back_up()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    drilled = await drill(site.settings, site.engine.database, site.target, None, scratch=scratch)
    assert (drilled.manifest.id, drilled.stores, drilled.findings) == (manifest.id, 2, [])
    assert list(scratch.iterdir()) == []
    run = await last_run(site.engine.database, RunKind.DRILL)
    assert run.failed_at is None
    assert run.told == f"{manifest.id} restored, 2 stores examined"


async def test_large_objects_are_drilled_too(site: Site) -> None:
    one, two = [await _large_object(site, data) for data in (b"one large object", b"two")]
    made = await site.back_up()
    assert (await drill(site.settings, site.engine.database, site.target, None)).findings == []
    async with restored(site.target, made.id, empty_place(site.settings.data_dir.parent / "again")) as again:
        assert await again.engine.storage.get(one.key, max_bytes=99) == b"one large object"
        assert await again.engine.storage.get(two.key, max_bytes=99) == b"two"
    await site.target.storage.put(f"{COPIES}/{two.key}", b"owt")
    drilled = await drill(site.settings, site.engine.database, site.target, None)
    assert f"{two.key} is missing or damaged." in drilled.findings
    assert any(f"Large object {two.oid}" in finding for finding in drilled.findings), "the doctor saw it too"


async def _large_object(site: Site, data: bytes) -> StoredObject:
    """Send an object to a repository of its own."""
    async with site.engine.database.write() as session:
        owner = await make_account(session, f"o{len(data)}")
        repository = await make_repository(session, owner)
    return await send_object(site.engine, actor_of(owner), repository.id, data)


async def test_a_backup_that_lacks_something_fails_and_is_shown_as_failed(site: Site) -> None:
    await _filled(site)
    manifest = await site.back_up()
    [key, *_] = [found.key async for found in site.target.storage.list(COPIES) if found.key.endswith(".pack")]
    await site.target.storage.delete(key)
    drilled = await drill(site.settings, site.engine.database, site.target, None)
    assert f"{key.removeprefix('copies/')} is missing or damaged." in drilled.findings
    assert any("restore this key" in finding for finding in drilled.findings), "the doctor saw it too"
    assert (await drills_of(site.engine.database))[manifest.id].state is RunState.FAILED
    run = await last_run(site.engine.database, RunKind.DRILL)
    assert run.failed_at is not None


async def test_a_drill_finds_that_the_secret_key_does_not_fit_the_backup(site: Site) -> None:
    await require_secret_key(site.engine.database, SecretBox(["o" * 32]))
    await site.back_up()
    with pytest.raises(SecretKeyMissing):
        await drill(site.settings, site.engine.database, site.target, SecretBox(["t" * 32]))
    well = await drill(site.settings, site.engine.database, site.target, SecretBox(["o" * 32]))
    assert well.findings == []


async def test_no_backup_and_no_room_are_sentences(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackupNotFound):
        await drill(site.settings, site.engine.database, site.target, None)
    await site.back_up()
    monkeypatch.setattr(drilling, "SPARE_BYTES", 1 << 60)
    with pytest.raises(ScratchTooSmall, match="--scratch"):
        await drill(site.settings, site.engine.database, site.target, None)
