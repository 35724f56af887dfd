"""``cairnd backup``: make, list, verify, restore, prune and drill backups, by whoever may read the settings."""

import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from cairn.base.errors import CairnError, Misconfigured
from cairn.base.log import configure_logging
from cairn.base.secret_box import SECRET_KEY_FILE, SecretBox, load_key_ring
from cairn.base.settings import Settings, load_settings
from cairn.db.database import Database, open_database
from cairn.db.startup import open_ready_database
from cairn.git.engine import open_engine
from cairn.git.types import show
from cairn.ops.backup.copying import Pace
from cairn.ops.backup.create import Live, Progress, create_backup
from cairn.ops.backup.drill import drill as drill_backup
from cairn.ops.backup.finish import Finished, finish_restore
from cairn.ops.backup.models import BackupRun, RunState
from cairn.ops.backup.prune import prune_backups
from cairn.ops.backup.restore import Choices, Place, Restored, end_restore, restore_backup
from cairn.ops.backup.runs import drills_of
from cairn.ops.backup.target import BackupTarget, Manifest, open_target
from cairn.ops.backup.verify import sentences, verify_backup
from cairn.programs.schema import metadata
from cairn.programs.supervisor import EXIT_MISCONFIGURED
from cairn.storage.storage import open_storage

T = TypeVar("T")
TO = "--to"
FROM = "--from"

app = typer.Typer(
    help="Make backups while everything runs, and bring them back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

To = Annotated[str, typer.Option(TO, metavar="URL", help="Where backups lie. Left out: CAIRN_BACKUP_URL.")]
From = Annotated[str, typer.Option(FROM, metavar="URL", help="Where backups lie. Left out: CAIRN_BACKUP_URL.")]
Backup = Annotated[str, typer.Argument(metavar="[BACKUP]", help="A name that `list` shows. Left out: the newest.")]


@app.command()
def create(to: To = "") -> None:
    """Make a backup; nothing has to stop. Exit code 1 if objects were lost before."""

    async def work(settings: Settings) -> Manifest:
        database, _ = await open_ready_database(settings)
        try:
            live = Live(settings, database, open_storage(settings), metadata())
            return await create_backup(live, _target(settings, to, TO), tell=_show)
        finally:
            await database.close()

    manifest = _run(work)
    rows = sum(item.rows for item in manifest.tables)
    print(
        f"{manifest.id}: {rows:,} rows, {manifest.objects:,} objects ({_bytes(manifest.object_bytes)}), "
        f"{manifest.copied:,} of them copied now ({_bytes(manifest.copied_bytes)})."
    )
    for item in manifest.missing:
        print(f"{item.key} is missing or damaged in the object store; the backup lacks it.", file=sys.stderr)
    raise SystemExit(0 if manifest.is_whole else 1)


@app.command(name="list")
def list_backups(to: From = "") -> None:
    """List the backups, newest first: name, moment, objects, size, what it cost, its newest drill; tab-separated."""

    async def work(settings: Settings) -> list[tuple[Manifest, BackupRun | None]]:
        manifests = await _target(settings, to, FROM).read_manifests()
        drills = await _drills(settings)
        return [(manifest, drills.get(manifest.id)) for manifest in manifests]

    for manifest, run in _run(work):
        lacks = "" if manifest.is_whole else f"\tlacks {len(manifest.missing):,} objects"
        print(
            f"{manifest.id}\t{manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC\t{manifest.objects:,} objects\t"
            f"{_bytes(manifest.object_bytes + manifest.own_bytes)}\t"
            f"new {_bytes(manifest.copied_bytes + manifest.own_bytes)}\t{_drilled(run)}{lacks}"
        )


@app.command()
def verify(
    backup: Backup = "",
    to: From = "",
    is_mending: Annotated[
        bool, typer.Option("--mend", help="Make damaged copies again from the object store, where it has them.")
    ] = False,
) -> None:
    """Read every byte of a backup and compare it with its checksums; exit code 1 if anything is wrong."""

    async def work(settings: Settings) -> bool:
        target = _target(settings, to, FROM)
        manifest = await _choose(target, backup)
        verified = await verify_backup(
            target,
            manifest,
            at_once=settings.backup_transfers,
            pace=Pace(settings.backup_bytes_per_second),
            live=open_storage(settings) if is_mending else None,
            tell=_show,
        )
        _clear()
        for sentence in sentences(verified):
            print(sentence)
        print(f"{manifest.id}: {verified.objects:,} objects read ({_bytes(verified.size)}).")
        return verified.is_well

    raise SystemExit(0 if _run(work) else 1)


@app.command()
def restore(
    backup: Backup = "",
    to: From = "",
    is_bucket_kept: Annotated[
        bool,
        typer.Option("--database-only", help="Leave the object store as it is; copy only what it lacks."),
    ] = False,
    ends_sessions: Annotated[bool, typer.Option("--end-sessions", help="Everybody signs in again.")] = False,
    ignores_key: Annotated[
        bool, typer.Option("--without-secret-key", help="Restore although what is sealed cannot be read any more.")
    ] = False,
    accepts_missing: Annotated[
        bool, typer.Option("--accept-missing", help="Restore although the backup lacks objects.")
    ] = False,
) -> None:
    """Bring a backup into an empty installation; stop all programs before. Run it again if it was broken off."""
    choices = Choices(is_bucket_kept, ends_sessions, ignores_key, accepts_missing)

    async def work(settings: Settings) -> tuple[Restored, Finished]:
        target = _target(settings, to, FROM)
        chosen = await _choose(target, backup)
        database = open_database(settings.effective_database_url, pool_size=settings.database_pool_size)
        try:
            storage = open_storage(settings)
            place = Place(settings, database, storage, _secrets(settings))
            restored = await restore_backup(target, chosen.id, place, choices, tell=_show)
            async with open_engine(settings, database, storage) as engine:
                finished = await finish_restore(engine, target, restored, choices, tell=_show)
            await end_restore(database)
            return restored, finished
        finally:
            await database.close()

    restored, finished = _run(work)
    _tell_restored(restored, finished)
    raise SystemExit(1 if restored.missing else 0)


@app.command()
def prune(to: From = "") -> None:
    """Delete backups past their retention, and copies that no other backup needs."""

    async def work(settings: Settings) -> str:
        database, _ = await open_ready_database(settings)
        try:
            pruned = await prune_backups(settings, database, _target(settings, to, FROM), tell=_show)
        finally:
            await database.close()
        return (
            f"{len(pruned.backups):,} backups, {pruned.remnants:,} remnants and {pruned.copies:,} copies "
            f"({_bytes(pruned.copy_bytes)}) deleted."
        )

    print(_run(work))


@app.command()
def drill(
    backup: Backup = "",
    to: From = "",
    scratch: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to restore. Left out: the folder for temporary files.")
    ] = None,
) -> None:
    """Restore a backup into a scratch place and examine every store there; exit code 1 if anything is wrong."""

    async def work(settings: Settings) -> bool:
        database, _ = await open_ready_database(settings)
        try:
            target = _target(settings, to, FROM)
            drilled = await drill_backup(
                settings, database, target, _secrets(settings), backup=backup, scratch=scratch, tell=_show
            )
        finally:
            await database.close()
        _clear()
        for finding in drilled.findings:
            print(finding)
        print(f"{drilled.manifest.id} restored; {drilled.stores:,} examined, {len(drilled.findings):,} findings.")
        return not drilled.findings

    raise SystemExit(0 if _run(work) else 1)


def _tell_restored(restored: Restored, finished: Finished) -> None:
    manifest = restored.manifest
    print(
        f"Restored {manifest.id}, the state of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"{restored.copied:,} objects copied ({_bytes(restored.copied_bytes)}), {restored.found:,} were there."
    )
    if finished.purged:
        print(f"{finished.purged:,} objects on the deny list were purged again.")
    for store_id, name in finished.dropped:
        print(f"Store {store_id}: {show(name)} was deleted, for it reached a purged object; have it pushed again.")
    for lost in finished.lost:
        when = "" if lost.last_at is None else f", the newest of {lost.last_at:%Y-%m-%d %H:%M:%S} UTC"
        print(f"Store {lost.store_id}: {lost.packs:,} packs came after the backup{when}; have their owners push again.")
    for item in restored.missing[:100]:
        print(f"{item.key} is missing; the history that needs it cannot be read.", file=sys.stderr)
    print("Nothing unknown is deleted from the object store until you run `cairnd admin release-bucket`.")


async def _choose(target: BackupTarget, backup: str) -> Manifest:
    return await (target.read_manifest(backup) if backup else target.newest())


async def _drills(settings: Settings) -> dict[str, BackupRun]:
    """Return the drills this installation knows of; none where its database is away or empty."""
    database: Database | None = None
    try:
        database, _ = await open_ready_database(settings)
        return await drills_of(database)
    except CairnError:
        return {}
    finally:
        if database is not None:
            await database.close()


def _drilled(run: BackupRun | None) -> str:
    if run is None:
        return "no drill"
    if run.state is RunState.RUNNING:
        return "drill running"
    at = run.finished_at or run.started_at
    return f"drill {'well' if run.state is RunState.DONE else 'failed'} {at:%Y-%m-%d}"


def _target(settings: Settings, given: str, option: str) -> BackupTarget:
    if given:
        return open_target(settings, given, variable=option)
    return open_target(settings, settings.backup_url)


def _secrets(settings: Settings) -> SecretBox | None:
    """Return this installation's key ring, without making a key that would be the wrong one."""
    if not settings.secret_key and not (settings.data_dir / SECRET_KEY_FILE).exists():
        return None
    return SecretBox(load_key_ring(settings))


def _run(work: Callable[[Settings], Awaitable[T]]) -> T:
    """Do the work on this installation; exit with one sentence where Cairn has one."""
    import uvloop

    async def begin() -> T:
        return await work(settings)

    try:
        settings = load_settings(os.environ)
        configure_logging(program="backup", level="error", plain=settings.log_format == "plain")
        result = uvloop.run(begin())
    except CairnError as error:
        _clear()
        print(f"cairnd backup: {error.message}", file=sys.stderr)
        raise SystemExit(EXIT_MISCONFIGURED if isinstance(error, Misconfigured) else 1) from None
    _clear()
    return result


class _Shown:
    """When a line was last written, so that a terminal is not flooded."""

    at = 0.0
    doing = ""


def _show(progress: Progress) -> None:
    """Write over the line before, where somebody looks on; elsewhere a line for each new thing that is done."""
    is_new = progress.doing != _Shown.doing
    if not is_new and time.monotonic() - _Shown.at < 0.1:
        return
    _Shown.at, _Shown.doing = time.monotonic(), progress.doing
    text = progress.doing
    if progress.of_objects:
        text += f": {progress.objects:,} of {progress.of_objects:,}"
    if progress.of_size:
        text += f", {_bytes(progress.size)} of {_bytes(progress.of_size)}"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _bytes(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
