"""Makes a backup while everything runs: a pin, one snapshot of the database, the objects it names, the manifest.

The pin comes first, so that whatever the snapshot names can still be copied hours later (``cairn.git.pins``). Packs
never change and their keys are never used twice, so a copy that is there already need not be made again: a second
backup moves only what is new. The manifest comes last: what dies before it is no backup.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import MetaData, select

from cairn.base.settings import Settings
from cairn.db.clock import now
from cairn.db.database import Database
from cairn.git.fail_points import Step, fail_point
from cairn.git.pins import drop_expired_pins, release_pin, renew_pin, set_pin
from cairn.ops.backup.copying import Copied, Pace, Route, copy_absent
from cairn.ops.backup.denials import write_denials
from cairn.ops.backup.dump import TableFile, dump, require_known, stat_file
from cairn.ops.backup.ledger import KeyLedger
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.runs import Run, require_alive, running
from cairn.ops.backup.stored_keys import StoredKey, given_up, is_pinned, stored_keys
from cairn.ops.backup.target import (
    COPIES,
    KEYS_FILE,
    BackupTarget,
    Manifest,
    new_backup_id,
    read_keys,
    write_keys,
)
from cairn.storage.storage import Storage

PIN_LIFETIME = timedelta(hours=2)
"""How long packs stay spared after a backup's program died; renewed each minute while it lives."""
MISSING_SHOWN = 1000
"""Missing objects that a manifest lists; an installation that lost more has other worries."""
_PRESENT_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Live:
    """The installation that is backed up; ``metadata`` has every table."""

    settings: Settings
    database: Database
    storage: Storage
    metadata: MetaData


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done, and how far: objects and bytes done of how many (0 and 0 where nothing is counted)."""

    doing: str
    objects: int = 0
    of_objects: int = 0
    size: int = 0
    of_size: int = 0


Tell = Callable[[Progress], None]


def say_nothing(_: Progress) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    taken_at: datetime
    schema: int
    tables: list[TableFile]


async def create_backup(live: Live, target: BackupTarget, *, tell: Tell = say_nothing) -> Manifest:
    """Make a backup and return its manifest; it exists when this returns, and not before.

    Objects that the installation itself has lost are listed in the manifest; everything else is whole. Errors:
    TargetBusy, SchemaUnknown, the stores' and the database's Unavailable. A failure leaves copies that the next
    backup finds, and no backup.
    """
    backup = new_backup_id(await live.database.now())
    async with running(live.database, RunKind.CREATE, place=target.place, backup=backup) as run:
        async with _pinned(live, backup, run) as pin:
            manifest = await _create(live, target, backup, pin, run, tell)
            run.told = _sentence(manifest)
    return manifest


@asynccontextmanager
async def _pinned(live: Live, backup: str, run: Run) -> AsyncIterator[str]:
    """Hold a pin for the block; afterwards it stands for CAIRN_BACKUP_PIN_SECONDS, or goes if the block failed."""
    pin = await set_pin(live.database, f"backup {backup}", lifetime=PIN_LIFETIME)
    run.beats.append(lambda: renew_pin(live.database, pin, lifetime=PIN_LIFETIME))
    is_done = False
    try:
        await fail_point(Step.BACKUP_PINNED)
        yield pin
        is_done = True
    finally:
        kept = timedelta(seconds=live.settings.backup_pin_seconds if is_done else 0)
        run.beats.clear()
        if kept:
            await renew_pin(live.database, pin, lifetime=kept)
        else:
            await release_pin(live.database, pin)
        async with live.database.write() as session:
            await drop_expired_pins(session)


async def _create(live: Live, target: BackupTarget, backup: str, pin: str, run: Run, tell: Tell) -> Manifest:
    settings = live.settings
    with tempfile.TemporaryDirectory(prefix="cairn-backup-") as name:
        folder = Path(name)
        with KeyLedger(folder / "ledger.db") as ledger:
            snapshot = await _read_everything(live, ledger, folder, tell)
            await fail_point(Step.BACKUP_DUMPED)
            tell(Progress("looking at what is copied already"))
            await find_copies(target, ledger)
            copied = await _copy(live, target, ledger, tell)
            for item in copied.damaged:
                await asyncio.to_thread(ledger.forget, item.key)
            missing = await _without_given_up(live, copied.damaged)
            await fail_point(Step.BACKUP_COPIED)
            await asyncio.to_thread(write_keys, folder / KEYS_FILE, ledger.wanted())
            objects, object_bytes = await asyncio.to_thread(ledger.totals)
        keys = await asyncio.to_thread(stat_file, folder / KEYS_FILE, KEYS_FILE)
        tell(Progress("writing the database"))
        for file in [*(item.file for item in snapshot.tables), keys]:
            await target.put_file(backup, folder, file)
    await write_denials(live.database, target)
    manifest = Manifest(
        id=backup,
        taken_at=snapshot.taken_at,
        finished_at=await live.database.now(),
        program=version("cairn-forge"),
        schema=snapshot.schema,
        database=live.database.dialect,
        origin=settings.origin,
        tables=tuple(snapshot.tables),
        keys=keys,
        objects=objects,
        object_bytes=object_bytes,
        copied=copied.objects,
        copied_bytes=copied.size,
        key_ids=tuple(sorted({key_id for item in snapshot.tables for key_id in item.key_ids})),
        missing=tuple(missing[:MISSING_SHOWN]),
        pin=pin,
    )
    await fail_point(Step.BACKUP_BEFORE_MANIFEST)
    # Whoever was taken for dead may have had copies pruned that it relies on.
    await require_alive(live.database, run)
    await target.write_manifest(manifest)
    return manifest


async def _read_everything(live: Live, ledger: KeyLedger, folder: Path, tell: Tell) -> _Snapshot:
    """Dump the tables and note the keys they name, as they are at one moment."""
    schema = await require_known(live.database, live.metadata)
    async with live.database.snapshot() as connection:
        taken_at = (await connection.execute(select(now()))).scalar_one()
        tables = await dump(connection, live.metadata, folder, tell=lambda doing: tell(Progress(doing)))
        async for keys in stored_keys(connection, live.metadata):
            await asyncio.to_thread(ledger.want, keys)
    return _Snapshot(taken_at, schema, tables)


async def find_copies(target: BackupTarget, ledger: KeyLedger) -> None:
    """Note in the ledger what the target has copies of, and what its newest backup says of those no row describes."""
    page: list[tuple[str, int]] = []
    async for found in target.storage.list(COPIES):
        page.append((found.key.removeprefix(f"{COPIES}/"), found.size))
        if len(page) == _PRESENT_AT_ONCE:
            await asyncio.to_thread(ledger.find, page)
            page = []
    await asyncio.to_thread(ledger.find, page)
    manifests = await target.read_manifests()
    if manifests:
        with tempfile.TemporaryDirectory(prefix="cairn-backup-") as name:
            await target.get_file(manifests[0].id, Path(name), manifests[0].keys)
            await asyncio.to_thread(read_keys, Path(name) / KEYS_FILE, ledger.describe)


async def _copy(live: Live, target: BackupTarget, ledger: KeyLedger, tell: Tell) -> Copied:
    of_objects, of_size = await asyncio.to_thread(ledger.absent_totals)

    def told(copied: Copied) -> None:
        tell(Progress("copying", copied.objects, of_objects, copied.size, of_size))

    return await copy_absent(
        ledger,
        Route(live.storage, target.storage, target_prefix=COPIES),
        at_once=live.settings.backup_transfers,
        pace=Pace(live.settings.backup_bytes_per_second),
        tell=told,
    )


async def _without_given_up(live: Live, lacking: list[StoredKey]) -> list[StoredKey]:
    """Leave out what was replaced while the backup was made: nobody lost it."""
    free = {item.key for item in lacking if not is_pinned(item.key)}
    if free:
        async with live.database.snapshot() as connection:
            free = await given_up(connection, live.metadata, free)
    return [item for item in lacking if item.key not in free]


def _sentence(manifest: Manifest) -> str:
    rows = sum(item.rows for item in manifest.tables)
    text = (
        f"{manifest.id}: {rows:,} rows, {manifest.objects:,} objects of {manifest.object_bytes:,} bytes, "
        f"{manifest.copied:,} of them new ({manifest.copied_bytes:,} bytes)"
    )
    return (
        text if manifest.is_whole else f"{text}; {len(manifest.missing):,} objects were lost before: {_some(manifest)}"
    )


def _some(manifest: Manifest) -> str:
    return ", ".join(item.key for item in manifest.missing[:5])
