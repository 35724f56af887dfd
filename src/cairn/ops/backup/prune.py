"""Deletes backups past their retention, remnants of those that died, and copies that no backup needs any more."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.pins import release_pin
from cairn.git.together import together
from cairn.ops.backup.create import Progress, Tell, say_nothing
from cairn.ops.backup.ledger import KeyLedger
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.runs import BEAT_SECONDS, Run, require_alive, running
from cairn.ops.backup.target import COPIES, KEYS_FILE, BackupTarget, Manifest, read_keys

_DELETES_AT_ONCE = 16
_PRESENT_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went: backups by id, remnants, copies and their bytes."""

    backups: tuple[str, ...]
    remnants: int
    copies: int
    copy_bytes: int


def past_retention(manifests: Sequence[Manifest], settings: Settings, now: datetime) -> list[Manifest]:
    """Return the backups to delete; ``manifests`` come newest first.

    The newest ``backup_keep_count`` stay, and all that are younger than ``backup_keep_days``; so does the newest in
    which nothing was missing.
    """
    youngest = now - timedelta(days=settings.backup_keep_days)
    newest_whole = next((manifest.id for manifest in manifests if manifest.is_whole), "")
    return [
        manifest
        for manifest in manifests[settings.backup_keep_count :]
        if manifest.taken_at < youngest and manifest.id != newest_whole
    ]


async def prune_backups(
    settings: Settings, database: Database, target: BackupTarget, *, tell: Tell = say_nothing
) -> Pruned:
    """Delete what is past its retention; a copy goes only when no backup that is left names it.

    Errors: TargetBusy while a backup is being made, BackupUnreadable (then nothing is deleted), Unavailable.
    """
    async with running(database, RunKind.PRUNE, place=target.place) as run:
        manifests = await target.read_manifests()
        retired = past_retention(manifests, settings, await database.now())
        gone = {manifest.id for manifest in retired}
        kept = [manifest for manifest in manifests if manifest.id not in gone]
        for manifest in retired:
            await target.delete_backup(manifest.id)
            if manifest.pin:
                await release_pin(database, manifest.pin)
        remnants = await target.remnants()
        for remnant in remnants:
            await target.delete_backup(remnant)
        copies, copy_bytes = await _delete_unwanted(database, target, kept, run, tell)
        pruned = Pruned(tuple(sorted(gone)), len(remnants), copies, copy_bytes)
        run.told = (
            f"{len(gone):,} backups, {len(remnants):,} remnants and {copies:,} copies ({copy_bytes:,} bytes) deleted"
        )
    return pruned


async def _delete_unwanted(
    database: Database, target: BackupTarget, kept: Sequence[Manifest], run: Run, tell: Tell
) -> tuple[int, int]:
    with tempfile.TemporaryDirectory(prefix="cairn-prune-") as name:
        folder = Path(name)
        with KeyLedger(folder / "ledger.db") as ledger:
            for manifest in kept:
                tell(Progress(f"reading what {manifest.id} needs"))
                await target.get_file(manifest.id, folder, manifest.keys)
                await asyncio.to_thread(read_keys, folder / KEYS_FILE, ledger.want)
            page: list[tuple[str, int]] = []
            async for found in target.storage.list(COPIES):
                page.append((found.key.removeprefix(f"{COPIES}/"), found.size))
                if len(page) == _PRESENT_AT_ONCE:
                    await asyncio.to_thread(ledger.find, page)
                    page = []
            await asyncio.to_thread(ledger.find, page)
            return await _delete(database, target, ledger, run, tell)


async def _delete(database: Database, target: BackupTarget, ledger: KeyLedger, run: Run, tell: Tell) -> tuple[int, int]:
    copies = copy_bytes = 0
    unwanted = ledger.unwanted()
    alive_at = float("-inf")
    while page := await asyncio.to_thread(lambda: list(islice(unwanted, _DELETES_AT_ONCE))):
        if asyncio.get_running_loop().time() - alive_at > BEAT_SECONDS / 2:
            # A run taken for dead must not delete what a new backup has begun to rely on.
            await require_alive(database, run)
            alive_at = asyncio.get_running_loop().time()
        await together(*(target.storage.delete(f"{COPIES}/{key}") for key, _ in page))
        copies, copy_bytes = copies + len(page), copy_bytes + sum(size for _, size in page)
        tell(Progress("deleting copies", copies))
    return copies, copy_bytes
