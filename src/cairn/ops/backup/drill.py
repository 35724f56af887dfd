"""Proves that a backup can be restored: into a scratch folder with SQLite, where every store is then examined."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import select

from cairn.base.errors import Unavailable
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.database import Database, open_database
from cairn.git.engine import Engine, open_engine
from cairn.git.models import Store
from cairn.git.store_state import StoreGone
from cairn.ops.backup.create import Progress, Tell, say_nothing
from cairn.ops.backup.finish import finish_restore
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.restore import Choices, Place, end_restore, restore_backup
from cairn.ops.backup.runs import Run, running
from cairn.ops.backup.target import BackupTarget, Manifest
from cairn.repositories.health import examine_store
from cairn.storage.storage import open_storage

SPARE_BYTES = 1 << 30
FINDINGS_MAX = 100


class ScratchTooSmall(Unavailable):
    """The scratch place has no room for the backup."""


class DrillFailed(Unavailable):
    """A backup was restored and something is wrong with what came out."""


@dataclass(slots=True)
class Drilled:
    """What a drill saw: how many stores were examined and what is wrong, a sentence each."""

    manifest: Manifest
    stores: int = 0
    findings: list[str] = field(default_factory=list)


async def drill(
    settings: Settings,
    database: Database,
    target: BackupTarget,
    secrets: SecretBox | None,
    *,
    backup: str = "",
    scratch: Path | None = None,
    tell: Tell = say_nothing,
) -> Drilled:
    """Restore a backup (the newest, if none is named) into a scratch folder and return what an examination saw.

    The run is recorded as failed when there are findings. Errors: restore's own, ScratchTooSmall.
    """
    manifest = await (target.read_manifest(backup) if backup else target.newest())
    drilled = Drilled(manifest)
    try:
        async with running(database, RunKind.DRILL, place=None, backup=manifest.id) as run:
            with tempfile.TemporaryDirectory(prefix="cairn-drill-", dir=scratch) as name:
                _require_room(Path(name), manifest)
                await _drill(settings, Path(name), target, secrets, drilled, tell)
            _judge(run, drilled)
    except DrillFailed:
        pass  # the findings say it better
    return drilled


def _judge(run: Run, drilled: Drilled) -> None:
    run.told = f"{drilled.manifest.id} restored, {drilled.stores:,} stores examined"
    if drilled.findings:
        raise DrillFailed(f"{run.told}, {len(drilled.findings):,} findings: {drilled.findings[0]}")


def _require_room(folder: Path, manifest: Manifest) -> None:
    # The packs, once more in the node's cache while they are examined, and the database some times its dump.
    wanted = 2 * manifest.object_bytes + 20 * manifest.own_bytes + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise ScratchTooSmall(
            f"{folder.parent} has {free:,} bytes free, a drill of {manifest.id} wants {wanted:,}: "
            "name a larger place with --scratch, or TMPDIR for the worker."
        )


async def _drill(
    settings: Settings, folder: Path, target: BackupTarget, secrets: SecretBox | None, drilled: Drilled, tell: Tell
) -> None:
    there = msgspec.structs.replace(
        settings,
        data_dir=folder,
        database_url="",
        storage_url="",
        storage_access_key_id="",
        storage_secret_access_key="",
        storage_fallback_url="",
        cache_dir=Path(),
        redis_url="",
    )
    database = open_database(there.effective_database_url, pool_size=4)
    try:
        storage = open_storage(there)
        place = Place(there, database, storage, secrets)
        restored = await restore_backup(target, drilled.manifest.id, place, Choices(accepts_missing=True), tell=tell)
        drilled.findings += [f"{item.key} is missing or damaged." for item in restored.missing[:FINDINGS_MAX]]
        async with open_engine(there, database, storage) as engine:
            await finish_restore(engine, target, restored, Choices())
            await end_restore(database)
            await _examine_all(engine, drilled, tell)
    finally:
        await database.close()


async def _examine_all(engine: Engine, drilled: Drilled, tell: Tell) -> None:
    async with engine.database.read() as session:
        stores = list(await session.scalars(select(Store.id).order_by(Store.id)))
    for store_id in stores:
        tell(Progress("examining stores", drilled.stores, len(stores)))
        try:
            findings = await examine_store(engine, store_id)
        except StoreGone:
            continue
        drilled.stores += 1
        if len(drilled.findings) < FINDINGS_MAX:
            drilled.findings += [f"store {store_id}: {finding.sentence}" for finding in findings]
