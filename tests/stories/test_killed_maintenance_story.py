"""SIGKILL at every step of collection, deletion, purge, backup and restore: old state or new, never between (G2).

Then the same work is done again without a fault, and nothing is missing, left over or known wrongly.
"""

import asyncio
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.factories.backups import Site, empty_place, restored, site_of
from tests.factories.passing_time import let_pass
from tests.factories.pushes import MAIN, fresh_clone, make_store, refs_of, verdict
from tests.factories.small_pushes import SmallPusher
from tests.stories.killed_work import ROOT

from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.git.collection import collect
from cairn.git.compaction import compact_once
from cairn.git.doctor import examine
from cairn.git.engine import Engine, open_engine
from cairn.git.fail_points import Step
from cairn.git.manifest import read_manifest
from cairn.git.models import Pack, PackState
from cairn.git.pack_files import announce_upload
from cairn.git.ref_queries import ROOTS_KEPT
from cairn.git.types import Oid
from cairn.git.undo_packs import list_undo_packs
from cairn.git.upload_sweeper import sweep_uploads
from cairn.ops.backup.models import BackupRun
from cairn.storage.storage import open_storage

pytest_plugins = ["tests.factories.backups"]
pytestmark = [pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]

SIDE = b"refs/heads/side"
LONG = ROOTS_KEPT + timedelta(minutes=1)
UPLOAD = (Step.AFTER_UPLOAD_ROW, Step.BETWEEN_PACK_AND_INDEX, Step.AFTER_PACK)
STEPS: Mapping[str, tuple[Step, ...]] = {
    "collect": (
        Step.COLLECTION_PACKED,
        *UPLOAD,
        Step.COLLECTION_UPLOADED,
        Step.COLLECTION_BEFORE_COMMIT,
        Step.COLLECTION_AFTER_COMMIT,
    ),
    "delete_condemned": (Step.PACKS_MARKED, Step.PACKS_BYTES_DELETED),
    "sweep_uploads": (Step.UPLOADS_EXPIRED,),
    "expire_undo_packs": (Step.UNDO_BYTES_DELETED,),
    "purge": (*UPLOAD, Step.PURGE_UPLOADED, Step.PURGE_BEFORE_COMMIT, Step.PURGE_AFTER_COMMIT),
    "back_up": (Step.BACKUP_PINNED, Step.BACKUP_DUMPED, Step.BACKUP_COPIED, Step.BACKUP_BEFORE_MANIFEST),
    "restore": (Step.RESTORE_MARKED, Step.RESTORE_COPIED, Step.RESTORE_LOADED, Step.RESTORE_BEFORE_END),
}
SWAPPED = {Step.COLLECTION_AFTER_COMMIT}
"""From here on the manifest is the new one; a purge first forbids, then makes each manifest anew (last of all)."""
KILL_SECONDS = 180


def _cases(*verbs: str) -> list[tuple[str, Step]]:
    return [(verb, step) for verb in verbs for step in STEPS[verb]]


def _environment(settings: Settings, backups: str) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "CAIRN_DATA_DIR": str(settings.data_dir),
        "CAIRN_DATABASE_URL": settings.effective_database_url,
        "CAIRN_STORAGE_URL": settings.effective_storage_url,
        "CAIRN_BACKUP_URL": backups,
        "CAIRN_LOG_LEVEL": "error",
    }


async def _run(environment: Mapping[str, str], *words: str, kill_at: Step | None = None) -> None:
    """Do the work in a process of its own; it must end well, or be killed at the step."""
    changed = {"CAIRN_FAIL_POINTS": f"{kill_at.value}=kill"} if kill_at else {}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.stories.killed_work", *words),
        env={**environment, **changed},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(KILL_SECONDS):
            said = (await process.communicate())[1].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == (-signal.SIGKILL if kill_at else 0), (words, kill_at, said)


@pytest.fixture
def site(engine: Engine, database_url: str, tmp_path: Path) -> Site:
    """An installation that another process can open, with a folder for its backups."""
    return site_of(engine, f"file://{tmp_path / 'backups'}", database_url=database_url)


async def _pack_ids(engine: Engine, store: int) -> set[str]:
    return {pack.id for pack in (await read_manifest(engine.database, store))[1]}


async def _garbage(engine: Engine) -> tuple[SmallPusher, Oid]:
    """Make a store with a branch that was forced away and one that was deleted; return also a commit nobody needs."""
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(3)
    lost = pusher.refs[MAIN]
    await pusher.push(is_forced=True)
    await pusher.push(SIDE)
    await pusher.delete(SIDE)
    return pusher, lost


async def _prepare(verb: str, engine: Engine) -> tuple[SmallPusher, list[str]]:
    """Make the work that the verb will find, and return the words that name it."""
    pusher, lost = await _garbage(engine)
    words = [verb, str(pusher.store)]
    match verb:
        case "collect":
            await let_pass(engine.database, LONG)
        case "delete_condemned":
            assert await compact_once(engine, pusher.store, packs_max=1) is not None
            await let_pass(engine.database, timedelta(hours=7))
        case "sweep_uploads":
            upload = await announce_upload(engine.database, pusher.store, at=await engine.database.now())
            await engine.storage.put(f"{upload.key}.pack", b"PACK of a push that died")
            await let_pass(engine.database, timedelta(days=2))
        case "expire_undo_packs":
            await let_pass(engine.database, LONG)
            await collect(engine, pusher.store)
            assert len(await list_undo_packs(engine.database, pusher.store)) == 1
            await let_pass(engine.database, timedelta(days=31))
        case "purge":
            words.append(lost)
    return pusher, words


async def _done(verb: str, engine: Engine, store: int, words: list[str]) -> None:
    """Fail unless the verb's work is done, to the last byte."""
    keys = [found.key async for found in engine.storage.list("")]
    packs = {key.rpartition(".")[0] for key in keys if key.startswith("packs/")}
    named = {pack.key for pack in (await read_manifest(engine.database, store))[1]}
    match verb:
        case "collect":
            assert len(await list_undo_packs(engine.database, store)) == 1
        case "delete_condemned":
            async with engine.database.read() as session:
                states = set(await session.scalars(select(Pack.state).where(Pack.store_id == store)))
            assert states == {PackState.LIVE}
            assert packs == named
        case "sweep_uploads":
            assert packs == named
        case "expire_undo_packs":
            assert [key for key in keys if key.startswith("undo/")] == []
            assert await list_undo_packs(engine.database, store) == []
        case "purge":
            async with engine.view(await engine.state(store)) as view:
                for path in view.objects.glob("pack/*.idx"):
                    assert bytes.fromhex(words[-1]) not in path.read_bytes()


async def _dies(verb: str, step: Step, site: Site, folder: Path) -> None:
    engine, environment = site.engine, _environment(site.settings, site.settings.backup_url)
    pusher, words = await _prepare(verb, engine)
    store, old = pusher.store, await _pack_ids(engine, pusher.store)
    await _run(environment, *words, kill_at=step)
    assert (await _pack_ids(engine, store) == old) == (step not in SWAPPED)
    assert await refs_of(engine, store) == pusher.refs
    assert [found for found in await examine(engine, store) if not found.is_mendable] == []
    await fresh_clone(engine, store, _made(folder / "between"))
    await pusher.push()

    await _run(environment, *words)
    await let_pass(engine.database, timedelta(hours=3))
    await sweep_uploads(engine.database, engine.storage)
    await _done(verb, engine, store, words)
    assert await examine(engine, store) == []
    assert await verdict(engine, store, folder / "after") == pusher.refs


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("verb", "step"), [("purge", Step.PURGE_AFTER_COMMIT)])
async def test_maintenance_that_is_killed_is_made_good(site: Site, tmp_path: Path, verb: str, step: Step) -> None:
    """The small form."""
    await _dies(verb, step, site, tmp_path)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("verb", "step"), _cases("collect", "delete_condemned", "sweep_uploads", "expire_undo_packs", "purge")
)
async def test_maintenance_that_is_killed_at_any_step_is_made_good(
    site: Site, tmp_path: Path, verb: str, step: Step
) -> None:
    await _dies(verb, step, site, tmp_path)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", STEPS["back_up"])
async def test_a_backup_that_is_killed_at_any_step_is_none_and_the_next_one_is_whole(
    site: Site, tmp_path: Path, step: Step
) -> None:
    environment = _environment(site.settings, site.settings.backup_url)
    pusher, _ = await _garbage(site.engine)
    await _run(environment, "back_up", "0", kill_at=step)
    assert await site.target.read_manifests() == []
    await pusher.push()
    async with site.engine.database.write() as session:  # ten minutes without a sign of life
        await session.execute(update(BackupRun).values(alive_until=BackupRun.started_at))
    await _run(environment, "back_up", "0")
    [manifest] = await site.target.read_manifests()
    assert await examine(site.engine, pusher.store) == []
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs
        assert await examine(there.engine, pusher.store) == []


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", STEPS["restore"])
async def test_a_restore_that_is_killed_at_any_step_is_simply_run_again(site: Site, tmp_path: Path, step: Step) -> None:
    pusher, _ = await _garbage(site.engine)
    manifest = await site.back_up()
    place = empty_place(tmp_path / "new")
    environment = _environment(place, site.settings.backup_url)
    await _run(environment, "restore", manifest.id, kill_at=step)
    await _run(environment, "restore", manifest.id)
    database = open_database(place.effective_database_url, pool_size=3)
    try:
        async with open_engine(place, database, open_storage(place)) as there:
            assert await verdict(there, pusher.store, tmp_path / "clone") == pusher.refs
            assert await examine(there, pusher.store) == []
    finally:
        await database.close()
