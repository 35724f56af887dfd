"""Backups of a test's installation, and restores of them into other places."""

import gzip
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, MetaData, inspect, select

from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.database import Database, open_database
from cairn.db.migrate import upgrade
from cairn.git.engine import Engine, open_engine
from cairn.ops.backup.create import Live, create_backup
from cairn.ops.backup.dump import TableFile, stat_file
from cairn.ops.backup.finish import Finished, finish_restore
from cairn.ops.backup.restore import Choices, Place, Restored, end_restore, restore_backup
from cairn.ops.backup.tables import describe_all, light_table
from cairn.ops.backup.target import BackupTarget, Manifest, open_target
from cairn.programs.schema import metadata
from cairn.storage.storage import open_storage

pytest_plugins = ["tests.factories.engines"]


@dataclass
class Site:
    """An installation that is backed up, and its target."""

    engine: Engine
    settings: Settings
    target: BackupTarget

    @property
    def live(self) -> Live:
        """What a backup reads."""
        return Live(self.settings, self.engine.database, self.engine.storage, metadata())

    async def back_up(self) -> Manifest:
        """Make a backup."""
        return await create_backup(self.live, self.target)


def site_of(engine: Engine, url: str, **settings: object) -> Site:
    """Return the installation of an engine with backups at an address."""
    changed = msgspec.structs.replace(engine.settings, backup_url=url, **settings)
    return Site(engine, changed, open_target(changed, url))


@pytest.fixture
def site(engine: Engine, tmp_path: Path) -> Site:
    """An installation with a folder for its backups."""
    return site_of(engine, f"file://{tmp_path / 'backups'}")


@dataclass
class RestoredSite:
    """What came out of a restore."""

    engine: Engine
    restored: Restored
    finished: Finished


@asynccontextmanager
async def restored(
    target: BackupTarget,
    backup: str,
    settings: Settings,
    choices: Choices | None = None,
    *,
    secrets: SecretBox | None = None,
) -> AsyncIterator[RestoredSite]:
    """Restore a backup into the installation of ``settings`` and open it."""
    choices = choices or Choices()
    database = open_database(settings.effective_database_url, pool_size=5)
    try:
        storage = open_storage(settings)
        done = await restore_backup(target, backup, Place(settings, database, storage, secrets), choices)
        async with open_engine(settings, database, storage) as engine:
            finished = await finish_restore(engine, target, done, choices)
            await end_restore(database)
            yield RestoredSite(engine, done, finished)
    finally:
        await database.close()


def empty_place(folder: Path, url: str = "") -> Settings:
    """Return the settings of an installation that does not exist yet."""
    shutil.rmtree(folder, ignore_errors=True)
    return Settings(data_dir=folder, database_url=url)


async def all_rows(database: Database, tables: MetaData | None = None) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table that a backup has, in the order of their keys."""
    found = {}
    async with database.read() as session:
        for description in describe_all(tables or metadata()):
            source = light_table(description)
            keys = [source.columns[name] for name in description.key]
            rows = await session.execute(select(*source.columns).order_by(*keys))
            found[description.name] = [tuple(row) for row in rows]
    return found


async def rewrite_manifest(site: Site, manifest: Manifest, **changes: object) -> None:
    """Make the manifest say something else; with a lower ``schema`` the backup is one of that older program.

    Tables and columns that the older schema does not have are left out, which is what its program would have done.
    """
    schema = changes.get("schema")
    if isinstance(schema, int) and schema < manifest.schema:
        changes["tables"] = await _older_tables(site, manifest, schema)
    await site.target.write_manifest(msgspec.structs.replace(manifest, **changes))


async def _older_tables(site: Site, manifest: Manifest, schema: int) -> tuple[TableFile, ...]:
    """Dump again what an older schema has of each table, in place of the present files."""
    with tempfile.TemporaryDirectory() as name:
        older = open_database(f"sqlite:///{name}/older.db", pool_size=1)
        try:
            await upgrade(older, to=schema)
            async with older.engine.connect() as connection:
                found = await connection.run_sync(_columns)
        finally:
            await older.close()
        folder, files = Path(name), []
        for item in manifest.tables:
            if item.table.name not in found:
                continue
            await site.target.get_file(manifest.id, folder, item.file)
            files.append(_narrowed(item, found[item.table.name], folder))
            await site.target.put_file(manifest.id, folder, files[-1].file)
    return tuple(files)


def _columns(connection: Connection) -> dict[str, set[str]]:
    inspector = inspect(connection)
    return {name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()}


def _narrowed(item: TableFile, columns: set[str], folder: Path) -> TableFile:
    """Leave only these columns in a table's file."""
    kept = [place for place, column in enumerate(item.table.columns) if column.name in columns]
    path = folder / item.file.name
    with gzip.open(path, "rb") as file:
        rows = [json.loads(line) for line in file]
    with gzip.open(path, "wb") as file:
        file.writelines(json.dumps([row[place] for place in kept]).encode() + b"\n" for row in rows)
    table = msgspec.structs.replace(item.table, columns=tuple(item.table.columns[place] for place in kept))
    return msgspec.structs.replace(item, table=table, file=stat_file(path, item.file.name))
