"""Brings a backup into an empty installation: any database, any object store, whatever it was made with.

From the first change on a table stands in the database that stops every program (``db.migrate.RestoreUnfinished``);
it goes last. A restore that died is simply run again: objects that arrived are found, everything else begins anew.
"""

import asyncio
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import (
    Connection,
    MetaData,
    String,
    column,
    delete,
    func,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy import case as choose

from cairn.base.errors import CairnError, Conflict
from cairn.base.folders import make_folder
from cairn.base.secret_box import SecretBox, key_id_of
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.db.migrate import RESTORE_TABLE, head, upgrade
from cairn.db.sealed_columns import sealed_columns
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import Store, Upload, UploadState
from cairn.identity.key_canary import require_secret_key
from cairn.identity.models import Account, Session
from cairn.ops.backup.copying import Copied, Pace, Route, copy_absent, join
from cairn.ops.backup.create import Progress, Tell, say_nothing
from cairn.ops.backup.ledger import KeyLedger
from cairn.ops.backup.load import load
from cairn.ops.backup.stored_keys import StoredKey
from cairn.ops.backup.target import COPIES, KEYS_FILE, BackupTarget, Manifest, read_keys
from cairn.storage.storage import Storage

VERSIONS_SKIPPED = 1_000_000_000
"""The versions that key caches go on so far above the restored ones: no node's disk and no cached answer can hold
anything under them, though all versions between the backup and the restore were used for something that is lost."""

_NOT_OURS = ("cache/", "self-test/")
"""What a bucket may hold and still be empty: it expires by itself."""
_PAGE = 1000
_MARKS = table(RESTORE_TABLE, column("backup", String()))


class NotEmpty(Conflict):
    """There is something where a backup was to be restored."""


class BackupTooNew(CairnError):
    """A newer program made the backup."""


class SecretKeyMissing(CairnError):
    """The backup holds values sealed with a secret key that this installation does not have."""


class BackupIncomplete(CairnError):
    """Objects that the backup needs are missing or damaged in its target."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a backup is restored to; ``secrets`` has its secret keys, None if it has none yet."""

    settings: Settings
    database: Database
    storage: Storage
    secrets: SecretBox | None


@dataclass(frozen=True, slots=True)
class Choices:
    """``is_bucket_kept``: the database alone; objects that are in the object store stay, only lacking ones are copied.

    ``ends_sessions``: everybody signs in again. ``ignores_key``: restore although nobody can read what is sealed.
    ``accepts_missing``: restore although objects are missing or damaged in the target too.
    """

    is_bucket_kept: bool = False
    ends_sessions: bool = False
    ignores_key: bool = False
    accepts_missing: bool = False


@dataclass(slots=True)
class Restored:
    """What was done; ``missing`` are objects that the installation lacks now."""

    manifest: Manifest
    copied: int = 0
    copied_bytes: int = 0
    found: int = 0
    """Objects that were there already."""
    missing: list[StoredKey] = field(default_factory=list)
    at: datetime | None = None


async def restore_backup(
    target: BackupTarget, backup: str, place: Place, choices: Choices, *, tell: Tell = say_nothing
) -> Restored:
    """Restore a backup and return what was done; the installation may be started, at this program's schema.

    What keeps caches apart skips far ahead, uploads that were under way are over. The caller finishes with what needs
    an engine (``ops.backup.finish``) and then calls ``end_restore``. Errors: BackupNotFound, BackupUnreadable,
    BackupTooNew, NotEmpty, SecretKeyMissing, BackupIncomplete, Unavailable.
    """
    manifest = await target.read_manifest(backup)
    require_usable(manifest, place.secrets.key_ids if place.secrets else frozenset(), choices)
    await _require_empty(place, choices)
    restored = Restored(manifest)
    with tempfile.TemporaryDirectory(prefix="cairn-restore-") as name:
        folder = Path(name)
        tell(Progress("fetching the database"))
        for file in [*(item.file for item in manifest.tables), manifest.keys]:
            await target.get_file(manifest.id, folder, file)
        await _mark(place.database, manifest)
        await fail_point(Step.RESTORE_MARKED)
        await _copy_objects(target, place, folder, restored, choices, tell)
        await fail_point(Step.RESTORE_COPIED)
        engine = place.database.make_migration_engine()
        try:
            await load(
                engine,
                place.database.dialect,
                manifest.tables,
                folder,
                tell=lambda doing: tell(Progress(doing)),
            )
        finally:
            await engine.dispose()
    await fail_point(Step.RESTORE_LOADED)
    if manifest.schema < head():
        tell(Progress("bringing the schema here"))
        await upgrade(place.database, is_restoring=True)
    await _settle(place.database, choices)
    await _settle_secrets(place.database, place.secrets, choices)
    restored.at = await place.database.now()
    return restored


def require_usable(manifest: Manifest, key_ids: Collection[str], choices: Choices) -> None:
    """Return if this program, with these secret keys, can restore the backup; BackupTooNew or SecretKeyMissing."""
    if manifest.schema > head():
        raise BackupTooNew(
            f"{manifest.id} has schema version {manifest.schema:04} (Cairn {manifest.program}), this program knows "
            f"{head():04}: restore it with that version of Cairn or a newer one."
        )
    lacking = sorted(set(manifest.key_ids) - set(key_ids))
    if lacking and not choices.ignores_key:
        raise SecretKeyMissing(
            f"{manifest.id} holds secrets sealed with the secret key {', '.join(lacking)}; this installation has "
            f"{', '.join(sorted(key_ids)) or 'none'}. Set CAIRN_SECRET_KEY to the one the backup was made with: "
            "it is kept apart from the backups."
        )


async def end_restore(database: Database) -> None:
    """Let programs use the database."""
    await fail_point(Step.RESTORE_BEFORE_END)
    async with database.write() as session:
        await session.execute(text(f"DROP TABLE {RESTORE_TABLE}"))


async def _require_empty(place: Place, choices: Choices) -> None:
    """Return if there is nothing to lose; NotEmpty says what is there. A restore that died left nothing to lose."""
    tables, accounts, stores = await _look(place.database)
    if RESTORE_TABLE in tables:
        return
    if accounts or stores:
        raise NotEmpty(
            f"The database has {accounts:,} accounts and {stores:,} stores. A backup is restored into an empty one: "
            "name another in CAIRN_DATABASE_URL."
        )
    if choices.is_bucket_kept:
        return
    async for found in place.storage.list():
        if not found.key.startswith(_NOT_OURS):
            raise NotEmpty(
                f"The object store ({place.storage.label}) is not empty: it has {found.key}, for example. Name an "
                "empty one in CAIRN_STORAGE_URL, or restore the database beside these objects with --database-only."
            )


async def _look(database: Database) -> tuple[set[str], int, int]:
    """Return the database's tables and how many accounts and stores it has."""
    if database.dialect == "sqlite" and not Path(str(database.url.database)).exists():
        return set(), 0, 0
    async with database.read() as session:
        tables = await (await session.connection()).run_sync(lambda sync: set(inspect(sync).get_table_names()))
        accounts, stores = [
            await session.scalar(select(func.count()).select_from(model)) or 0 if model.__tablename__ in tables else 0
            for model in (Account, Store)
        ]
    if tables and not tables & {"alembic_version", RESTORE_TABLE}:
        raise NotEmpty("The database has tables that are not Cairn's; name an empty one in CAIRN_DATABASE_URL.")
    return tables, accounts, stores


async def _mark(database: Database, manifest: Manifest) -> None:
    """Leave nothing in the database but the empty tables of the backup's schema, and the mark that stops programs."""
    if database.dialect == "sqlite":
        make_folder(Path(str(database.url.database)).parent)
    engine = database.make_migration_engine()
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {RESTORE_TABLE} (backup VARCHAR(40))"))
        async with engine.begin() as connection:
            await connection.run_sync(_drop_everything_else)
        async with engine.begin() as connection:
            await connection.execute(_MARKS.delete())
            await connection.execute(_MARKS.insert(), [{"backup": manifest.id}])
    finally:
        await engine.dispose()
    await upgrade(database, to=manifest.schema, is_restoring=True)


def _drop_everything_else(connection: Connection) -> None:
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name != RESTORE_TABLE)
    found.drop_all(connection)


async def _copy_objects(
    target: BackupTarget, place: Place, folder: Path, restored: Restored, choices: Choices, tell: Tell
) -> None:
    with KeyLedger(folder / "ledger.db") as ledger:
        await asyncio.to_thread(read_keys, folder / KEYS_FILE, ledger.want)
        tell(Progress("looking at what is there already"))
        await find_all(place.storage, ledger)
        of_objects, of_size = await asyncio.to_thread(ledger.absent_totals)
        restored.found = restored.manifest.objects - of_objects

        def told(copied: Copied) -> None:
            tell(Progress("copying", copied.objects, of_objects, copied.size, of_size))

        copied = await copy_absent(
            ledger,
            Route(target.storage, place.storage, source_prefix=COPIES),
            at_once=place.settings.backup_transfers,
            pace=Pace(place.settings.backup_bytes_per_second),
            tell=told,
        )
    restored.copied, restored.copied_bytes = copied.objects, copied.size
    restored.missing = [*copied.damaged, *restored.manifest.missing]
    if copied.damaged and not choices.accepts_missing:
        shown = ", ".join(join(COPIES, item.key) for item in copied.damaged[:5])
        raise BackupIncomplete(
            f"{len(copied.damaged):,} objects of {restored.manifest.id} are missing or damaged in {target.label}: "
            f"{shown}. Bring them from elsewhere, restore another backup, or go on without them with --accept-missing."
        )


async def find_all(storage: Storage, ledger: KeyLedger) -> None:
    """Note in the ledger everything that a live object store has."""
    page: list[tuple[str, int]] = []
    async for found in storage.list():
        page.append((found.key, found.size))
        if len(page) == _PAGE:
            await asyncio.to_thread(ledger.find, page)
            page = []
    await asyncio.to_thread(ledger.find, page)


async def _settle(database: Database, choices: Choices) -> None:
    """Make the restored rows true of this moment: nothing that happened after the backup can be mistaken for theirs."""
    skipped = {
        name: getattr(Store, name) + VERSIONS_SKIPPED for name in ("manifest_version", "tags_version", "cache_epoch")
    }
    # A store that nobody has pushed to keeps its 0: the first push has limits of its own.
    never = choose((Store.ref_version == 0, 0), else_=Store.ref_version + VERSIONS_SKIPPED)
    async with database.write() as session:
        await session.execute(update(Store).values(**skipped, ref_version=never))
        # None of these can land any more. But beside a newer bucket they may have landed: with the rows the sweeper
        # would delete what an operator wants back, so their keys become ones that no row names, told and held.
        await session.execute(delete(Upload).where(Upload.state == UploadState.OPEN))
        if choices.ends_sessions:
            await session.execute(delete(Session))


async def _settle_secrets(database: Database, secrets: SecretBox | None, choices: Choices) -> None:
    """See that what is sealed can be opened; where nobody has the key any more, drop what it sealed."""
    if choices.ignores_key:
        await _drop_unreadable(database, secrets.key_ids if secrets else frozenset())
    if secrets is not None:
        await require_secret_key(database, secrets)


async def _drop_unreadable(database: Database, key_ids: Collection[str]) -> None:
    """Host keys are made anew, mails lose their words: whatever was sealed can be made again or was on its way."""
    for sealed in sealed_columns():
        [key] = sealed.table.primary_key.columns
        async with database.write() as session:
            rows = (await session.execute(select(key, sealed).where(sealed.is_not(None)))).all()
            lost = [row_id for row_id, value in rows if key_id_of(value) not in key_ids]
            for row_id in lost:
                row = sealed.table.update().values({sealed: None}) if sealed.nullable else sealed.table.delete()
                await session.execute(row.where(key == row_id))
