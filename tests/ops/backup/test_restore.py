"""A backup becomes the same installation again, in an empty place and nowhere else."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account
from tests.factories.backups import RestoredSite, Site, all_rows, empty_place, restored, rewrite_manifest
from tests.factories.passing_time import let_pass
from tests.factories.pushes import MAIN, allow, fresh_clone, make_store, pieces, refs_of, verdict
from tests.factories.small_pushes import SmallPusher

from cairn.base.actor import Actor
from cairn.base.ids import random_id
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.db.migrate import RestoreUnfinished, head, require_current, upgrade
from cairn.git import fail_points
from cairn.git.fail_points import FailPointError, Step
from cairn.git.models import BucketComparison, Upload, UploadState
from cairn.git.ref_transaction import RefUpdate
from cairn.git.staging import push_limits
from cairn.git.upload_sweeper import sweep_uploads
from cairn.identity.key_canary import require_secret_key
from cairn.identity.models import Session
from cairn.ops.backup.load import IDS_SKIPPED
from cairn.ops.backup.restore import (
    VERSIONS_SKIPPED,
    BackupIncomplete,
    BackupTooNew,
    Choices,
    NotEmpty,
    SecretKeyMissing,
)
from cairn.ops.backup.target import COPIES
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.queries import RepositoryView, find_repository_by_id
from cairn.repositories.releases.assets import NewAsset, receive_asset
from cairn.repositories.releases.examine import examine_files
from cairn.repositories.releases.queries import find_release_of_tag
from cairn.repositories.releases.releases import Wanted, create_release
from cairn.repositories.wiki.edit import PageEdit, save_page
from cairn.repositories.wiki.reading import open_wiki

pytest_plugins = ["tests.factories.backups"]


def beside(path: Path, site: Site) -> Settings:
    """Return the settings of an installation with the database that the site has."""
    return Settings(data_dir=path, database_url=site.engine.database.url.render_as_string(hide_password=False))


def folder(path: Path) -> Path:
    path.mkdir()
    return path


async def _pushed(site: Site) -> SmallPusher:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(3)
    await pusher.push(b"refs/heads/side")
    return pusher


async def test_what_was_pushed_is_there_again_and_can_be_pushed_to(site: Site, tmp_path: Path) -> None:
    pusher = await _pushed(site)
    manifest = await site.back_up()
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "first") == pusher.refs
        again = SmallPusher(there.engine, pusher.store, refs=dict(pusher.refs))
        again.choices.seed(2)
        await again.push()
        assert await verdict(there.engine, pusher.store, tmp_path / "second") == again.refs
        async with there.engine.database.read() as session:
            hold = await session.get(BucketComparison, 1)
        assert hold is not None
        assert hold.held_at is not None
        assert manifest.id in hold.hold_reason


async def test_files_of_releases_and_the_wiki_come_back(site: Site, tmp_path: Path) -> None:
    content = b"PK" * 700_000
    repository, actor = await _repository_with_a_release(site, content)
    manifest = await site.back_up()
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        async with there.engine.database.read() as session:
            again = await find_repository_by_id(session, actor, repository.id)
            release = await find_release_of_tag(session, again, b"v1.0")
        [asset] = release.assets
        assert (asset.name, asset.size) == ("engine.zip", len(content))
        assert await there.engine.storage.get(asset.key, max_bytes=len(content)) == content
        assert [found async for found in examine_files(there.engine.database, there.engine.storage)] == []
        async with open_wiki(there.engine, again) as wiki:
            assert [page.name for page in wiki.index.pages] == [b"Home"]
            home = wiki.index.find(b"Home")
            assert home is not None
            assert (await wiki.content(home)).data == b"Hello, wiki"


async def _repository_with_a_release(site: Site, content: bytes) -> tuple[RepositoryView, Actor]:
    """Make a repository whose release v1.0 has one file and whose wiki has one page."""
    engine = site.engine
    async with engine.database.write() as session:
        actor = actor_of(await make_account(session, "ada"))
    wanted = NewRepository(name="engine", with_readme=True)
    repository = await create_repository(engine.database, engine, actor, wanted)
    release = await create_release(engine, actor, repository, Wanted(tag=b"v1.0"))
    await receive_asset(engine, actor, repository, release, NewAsset(name="engine.zip"), pieces(content))
    await save_page(engine, actor, repository, PageEdit(title="Home", ending="md", text="Hello, wiki"))
    return repository, actor


async def test_what_came_after_the_backup_is_not_there_and_cannot_be_mistaken(site: Site, tmp_path: Path) -> None:
    pusher = await _pushed(site)
    empty = await make_store(site.engine)
    before = await site.engine.state(pusher.store)
    manifest, refs = await site.back_up(), dict(pusher.refs)
    await pusher.push_many(2)
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == refs
        after = await there.engine.state(pusher.store)
        for name in ("ref_version", "manifest_version", "tags_version", "cache_epoch"):
            assert getattr(after, name) == getattr(before, name) + VERSIONS_SKIPPED
        assert (await there.engine.state(empty)).ref_version == 0, "the next push is still this store's first"
        assert await make_store(there.engine) == empty + IDS_SKIPPED + 1


async def test_an_upload_that_was_under_way_cannot_land_and_a_session_ends_if_asked(site: Site, tmp_path: Path) -> None:
    store = await make_store(site.engine)
    now = await site.engine.database.now()
    async with site.engine.database.write() as session:
        account = await make_account(session, "ada")
        session.add(Upload(store_id=store, id="a" * 32, keys=[], state=UploadState.OPEN, expires_at=now))
        session.add(
            Session(
                cookie_sha256="b" * 64,
                account_id=account.id,
                created_at=now,
                last_used_at=now,
                expires_at=now,
                address="192.0.2.1",
                user_agent="test",
            )
        )
    manifest = await site.back_up()
    for ends, sessions in ((False, 1), (True, 0)):
        there: RestoredSite
        async with restored(
            site.target, manifest.id, empty_place(tmp_path / f"new-{sessions}"), Choices(ends_sessions=ends)
        ) as there:
            async with there.engine.database.read() as session:
                assert (await session.scalars(select(Upload.state))).all() == []
                assert len((await session.scalars(select(Session.cookie_sha256))).all()) == sessions


async def test_a_restore_is_refused_where_there_is_something_to_lose(site: Site, tmp_path: Path) -> None:
    pusher = await _pushed(site)
    manifest = await site.back_up()
    with pytest.raises(NotEmpty, match="1 stores"):
        async with restored(site.target, manifest.id, beside(tmp_path / "same", site)):
            pass
    with_account = empty_place(tmp_path / "account")
    await _migrate(with_account, account="somebody")
    with pytest.raises(NotEmpty, match="1 accounts"):
        async with restored(site.target, manifest.id, with_account):
            pass
    with_object = empty_place(tmp_path / "object")
    (with_object.data_dir / "storage" / "objects" / "packs").mkdir(parents=True)
    (with_object.data_dir / "storage" / "objects" / "packs" / "x.pack").write_bytes(b"PACK")
    with pytest.raises(NotEmpty, match=r"packs/x\.pack"):
        async with restored(site.target, manifest.id, with_object):
            pass
    assert await verdict(site.engine, pusher.store, tmp_path / "clone") == pusher.refs
    assert not (with_object.data_dir / "cairn.db").exists()


async def test_an_installation_that_was_only_migrated_counts_as_empty(site: Site, tmp_path: Path) -> None:
    pusher = await _pushed(site)
    manifest = await site.back_up()
    place = empty_place(tmp_path / "new")
    await _migrate(place)
    async with restored(site.target, manifest.id, place) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs


@pytest.mark.parametrize(
    "step", [Step.RESTORE_MARKED, Step.RESTORE_COPIED, Step.RESTORE_LOADED, Step.RESTORE_BEFORE_END]
)
async def test_a_restore_that_died_is_refused_by_every_program_and_simply_run_again(
    site: Site, tmp_path: Path, step: Step
) -> None:
    pusher = await _pushed(site)
    manifest = await site.back_up()
    place = empty_place(tmp_path / "new")
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await _restore_only(site, manifest.id, _with_plan(place, step))
    finally:
        fail_points.configure(())
    database = open_database(place.effective_database_url, pool_size=1)
    try:
        for refused in (require_current(database), upgrade(database)):
            with pytest.raises(RestoreUnfinished):
                await refused
    finally:
        await database.close()
    async with restored(site.target, manifest.id, place) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs
        if step is not Step.RESTORE_MARKED:
            assert there.restored.copied == 0, "what had arrived is not fetched again"
    database = open_database(place.effective_database_url, pool_size=1)
    try:
        await require_current(database)
    finally:
        await database.close()


async def test_an_older_backup_is_brought_to_this_schema_and_a_newer_one_refused(site: Site, tmp_path: Path) -> None:
    pusher = await _pushed(site)
    manifest = await site.back_up()
    await rewrite_manifest(site, manifest, schema=head() + 1)
    with pytest.raises(BackupTooNew, match=f"{head() + 1:04}"):
        async with restored(site.target, manifest.id, empty_place(tmp_path / "newer")):
            pass
    assert not (tmp_path / "newer" / "cairn.db").exists()
    await rewrite_manifest(site, manifest, schema=2)
    place = empty_place(tmp_path / "older")
    async with restored(site.target, manifest.id, place) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs
        await require_current(there.engine.database)


async def test_a_backup_sealed_with_another_key_is_refused_by_its_name(site: Site, tmp_path: Path) -> None:
    """B4, the restore's side: the git data can be had without the key, but not by accident."""
    ours, theirs = SecretBox(["o" * 32]), SecretBox(["t" * 32])
    pusher = await _pushed(site)
    await require_secret_key(site.engine.database, ours)
    manifest = await site.back_up()
    [wanted] = ours.key_ids
    assert manifest.key_ids == (wanted,)
    place = empty_place(tmp_path / "new")
    for secrets, told in ((theirs, min(theirs.key_ids)), (None, "none")):
        with pytest.raises(SecretKeyMissing, match=f"{wanted}; this installation has {told}"):
            await _restore_only(site, manifest.id, place, secrets=secrets)
    assert not (place.data_dir / "cairn.db").exists()
    async with restored(site.target, manifest.id, place, secrets=SecretBox(["t" * 32, "o" * 32])) as there:
        await require_secret_key(there.engine.database, ours)
    other = empty_place(tmp_path / "other")
    async with restored(site.target, manifest.id, other, Choices(ignores_key=True), secrets=theirs) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs
        await require_secret_key(there.engine.database, theirs)


async def test_a_copy_that_is_damaged_or_missing_stops_the_restore_unless_accepted(site: Site, tmp_path: Path) -> None:
    pusher = await _pushed(site)
    manifest = await site.back_up()
    damaged, gone = [found.key async for found in site.target.storage.list(COPIES) if found.key.endswith(".pack")][:2]
    copies = tmp_path / "backups" / "objects"
    data = bytearray((copies / damaged).read_bytes())
    data[20] ^= 1
    (copies / damaged).write_bytes(data)
    (copies / gone).unlink()
    place = empty_place(tmp_path / "new")
    with pytest.raises(BackupIncomplete, match=r"2 objects .* missing or damaged"):
        async with restored(site.target, manifest.id, place):
            pass
    async with restored(site.target, manifest.id, place, Choices(accepts_missing=True)) as there:
        lost = {item.key for item in there.restored.missing}
        assert lost == {damaged.removeprefix("copies/"), gone.removeprefix("copies/")}
        for key in lost:
            assert not await there.engine.storage.exists(key)
        assert (await there.engine.state(pusher.store)).id == pusher.store


async def test_the_database_alone_goes_back_beside_a_newer_bucket_and_what_was_lost_is_told(
    site: Site, tmp_path: Path
) -> None:
    pusher = await _pushed(site)
    manifest, refs = await site.back_up(), dict(pusher.refs)
    await pusher.push_many(2)
    place = empty_place(tmp_path / "new")
    shared = Settings(data_dir=place.data_dir, storage_url=site.settings.effective_storage_url)
    async with restored(site.target, manifest.id, shared, Choices(is_bucket_kept=True)) as there:
        assert there.restored.copied == 0
        assert there.restored.found == manifest.objects
        [lost] = there.finished.lost
        assert (lost.store_id, lost.packs) == (pusher.store, 2)
        assert lost.last_at is not None
        assert await refs_of(there.engine, pusher.store) == refs
        await fresh_clone(there.engine, pusher.store, folder(tmp_path / "clone"))


async def test_a_push_that_was_landing_during_the_backup_is_told_as_lost_and_its_bytes_wait(
    site: Site, tmp_path: Path
) -> None:
    """The backup saw its upload as under way; then it was acknowledged: an operator may want its bytes back."""
    pusher = await _pushed(site)
    new, pack = pusher.make(pusher.refs[MAIN])
    staged = await site.engine.stager.stage_push(
        await site.engine.state(pusher.store),
        [RefUpdate(MAIN, pusher.refs[MAIN], new)],
        pieces(pack),
        limits=push_limits(site.settings, is_first=False),
        is_atomic=False,
    )
    assert staged.pack is not None
    manifest = await site.back_up()
    [outcome] = await site.engine.land(staged, push_id=random_id(), actor="ada", within=allow)
    assert outcome.moved
    shared = Settings(data_dir=tmp_path / "new", storage_url=site.settings.effective_storage_url)
    async with restored(site.target, manifest.id, shared, Choices(is_bucket_kept=True)) as there:
        [lost] = there.finished.lost
        assert (lost.store_id, lost.packs) == (pusher.store, 1)
        await let_pass(there.engine.database, timedelta(days=3))
        await sweep_uploads(there.engine.database, there.engine.storage)
        assert await there.engine.storage.exists(f"{staged.pack.key}.pack")


async def _restore_only(site: Site, backup: str, settings: Settings, *, secrets: SecretBox | None = None) -> None:
    async with restored(site.target, backup, settings, secrets=secrets):
        pass


def _with_plan(place: Settings, step: Step) -> Settings:
    """Opening an engine reads the plans of its own settings."""
    return Settings(data_dir=place.data_dir, fail_points=(f"{step.value}=error",))


async def _migrate(place: Settings, *, account: str = "") -> None:
    place.data_dir.mkdir(parents=True, exist_ok=True)
    database = open_database(place.effective_database_url, pool_size=1)
    try:
        await upgrade(database)
        if account:
            async with database.write() as session:
                await make_account(session, account)
    finally:
        await database.close()


async def test_a_backup_of_any_database_is_restored_into_any_other(
    site: Site, empty_database_url: str, tmp_path: Path
) -> None:
    pusher = await _pushed(site)
    async with site.engine.database.write() as session:
        await make_account(session, "Ada")
    manifest, before = await site.back_up(), await all_rows(site.engine.database)
    # The fixture's SQLite file is the site's own.
    place = empty_place(tmp_path / "new", "" if empty_database_url.startswith("sqlite") else empty_database_url)
    async with restored(site.target, manifest.id, place) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs
        after = await all_rows(there.engine.database)
        for table in ("account", "account_email", "git_ref", "git_ref_log", "git_pack", "git_manifest", "git_push"):
            assert after[table] == before[table]
        again = SmallPusher(there.engine, pusher.store, refs=dict(pusher.refs))
        again.choices.seed(3)
        await again.push()
        async with there.engine.database.write() as session:
            await make_account(session, "grace")
