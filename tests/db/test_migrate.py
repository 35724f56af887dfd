"""The history gives the schema the models describe, once, on every database."""

import asyncio
import fcntl
import re
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from cairn.db import connect
from cairn.db.database import Database, DatabaseMisconfigured, open_database
from cairn.db.migrate import VERSIONS, SchemaTooOld, head, is_current, require_current, schema_version, upgrade
from cairn.programs.schema import metadata


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": metadata()})
    return list(compare_metadata(context, metadata()))


async def test_the_migrated_schema_is_the_one_the_models_describe(any_database: Database) -> None:
    async with any_database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_an_empty_database_is_brought_to_the_newest_version(empty_database_url: str) -> None:
    database = open_database(empty_database_url, pool_size=2)
    try:
        assert await schema_version(database) == 0
        assert not await is_current(database)
        with pytest.raises(SchemaTooOld, match="cairnd migrate"):
            await require_current(database)
        assert await upgrade(database) == 0
        assert await schema_version(database) == head()
        await require_current(database)
        assert await upgrade(database) == head()
    finally:
        await database.close()


async def test_nodes_that_start_together_migrate_once(empty_database_url: str) -> None:
    nodes = [open_database(empty_database_url, pool_size=2) for _ in range(4)]
    try:
        before = await asyncio.gather(*(upgrade(node) for node in nodes))
        assert sorted(before) == [0, head(), head(), head()]
    finally:
        for node in nodes:
            await node.close()


async def test_a_long_migration_by_another_node_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite prepares a file when it is opened, which fails at once while somebody changes it."""
    monkeypatch.setattr(connect, "LOCK_SECONDS", 0)
    database = open_database(f"sqlite:///{tmp_path}/cairn.db", pool_size=2)
    other = sqlite3.connect(tmp_path / "cairn.db", isolation_level=None)
    try:
        with (tmp_path / "cairn.db.migrating").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            other.execute("BEGIN EXCLUSIVE")
            waiting = asyncio.create_task(upgrade(database))
            done, _ = await asyncio.wait([waiting], timeout=0.5)
            assert not done
            other.execute("ROLLBACK")
        assert await waiting == 0
    finally:
        other.close()
        await database.close()


async def test_a_program_runs_on_a_schema_newer_than_it_knows(any_database: Database) -> None:
    async with any_database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9000'"))
    try:
        await require_current(any_database)
        assert await upgrade(any_database) == 9000
    finally:
        async with any_database.write() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": f"{head():04}"})


async def test_the_database_of_another_program_is_refused(empty_database_url: str) -> None:
    database = open_database(empty_database_url, pool_size=2)
    try:
        async with database.write() as session:
            await session.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            await session.execute(text("INSERT INTO alembic_version VALUES ('ae1027a6acf')"))
        with pytest.raises(DatabaseMisconfigured, match="another program"):
            await upgrade(database)
    finally:
        await database.close()


async def test_sqlite_takes_a_version_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    database = open_database(f"sqlite:///{tmp_path}/cairn.db", pool_size=2)
    create_index, calls = op.create_index, []

    def failing(*arguments: object, **options: object) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise RuntimeError("power cut")
        create_index(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    try:
        with monkeypatch.context() as patch:
            patch.setattr(op, "create_index", failing)
            with pytest.raises(RuntimeError, match="power cut"):
                await upgrade(database)
        assert await schema_version(database) == 0
        assert await upgrade(database) == 0
    finally:
        await database.close()


def test_versions_are_numbered_without_gaps_and_import_no_model() -> None:
    files = sorted(VERSIONS.glob("[0-9]*.py"))
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    for path in files:
        source = path.read_text()
        revision = f'revision = "{path.name[:4]}"'
        assert re.search(f"^{revision}$", source, re.MULTILINE), path.name
        imported = re.findall(r"^\s*(?:from|import)\s+(cairn\S*)(?:\s+import\s+(\w+))?", source, re.MULTILINE)
        assert set(imported) <= {("cairn.db", "base")}, path.name
