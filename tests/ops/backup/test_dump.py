"""A dump holds exactly one moment of the database, whatever is written meanwhile."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from tests.factories.accounts import make_account

from cairn.db.database import Database
from cairn.identity.models import Account, AccountEmail
from cairn.ops.backup import dump as dumping
from cairn.ops.backup.dump import SchemaUnknown, TableFile, dump, require_known
from cairn.programs.schema import metadata


def _rows(files: list[TableFile], folder: Path, name: str) -> list[dict[str, object]]:
    [item] = [found for found in files if found.table.name == name]
    with gzip.open(folder / item.file.name, "rb") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == item.rows
    return [dict(zip([column.name for column in item.table.columns], row, strict=True)) for row in rows]


async def test_what_is_committed_while_tables_are_read_is_in_none_of_them(
    any_database: Database, tmp_path: Path
) -> None:
    async with any_database.write() as session:
        await make_account(session, "before")
    told: list[str] = []

    def tell(doing: str) -> None:
        told.append(doing)

    async with any_database.snapshot() as connection:
        assert await connection.scalar(select(func.count()).select_from(Account)) == 1
        async with any_database.write() as session:
            await make_account(session, "after")
        files = await dump(connection, metadata(), tmp_path, tell=tell)
    assert [row["login"] for row in _rows(files, tmp_path, "account")] == ["before"]
    assert [row["email"] for row in _rows(files, tmp_path, "account_email")] == ["before@example.test"]
    assert told[0] == f"reading {files[0].table.name}"
    for item in files:
        data = (tmp_path / item.file.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (item.file.size, item.file.sha256)


async def test_rows_are_read_in_batches_and_none_is_left_out(
    any_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "ROWS_AT_ONCE", 3)
    async with any_database.write() as session:
        for number in range(10):
            await make_account(session, f"person{number}")
    async with any_database.snapshot() as connection:
        files = await dump(connection, metadata(), tmp_path, tell=lambda _: None)
    assert sorted(str(row["login"]) for row in _rows(files, tmp_path, "account")) == [f"person{n}" for n in range(10)]


async def test_the_snapshot_refuses_writes(any_database: Database) -> None:
    async with any_database.snapshot() as connection:
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            await connection.execute(text("DELETE FROM account_email"))
    async with any_database.read() as session:
        assert await session.scalar(select(func.count()).select_from(AccountEmail)) == 0


async def test_a_database_with_an_unknown_table_or_version_is_not_dumped_by_halves(database: Database) -> None:
    version = await require_known(database, metadata())
    async with database.write() as session:
        await session.execute(text("CREATE TABLE zz_stranger (id INTEGER)"))
    try:
        with pytest.raises(SchemaUnknown, match="zz_stranger"):
            await require_known(database, metadata())
    finally:
        async with database.write() as session:
            await session.execute(text("DROP TABLE zz_stranger"))
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(SchemaUnknown, match="9999"):
            await require_known(database, metadata())
    finally:
        async with database.write() as session:
            await session.execute(text(f"UPDATE alembic_version SET version_num = '{version:04}'"))


async def test_a_dump_leaves_out_packs_that_are_on_their_way_out(database: Database, tmp_path: Path) -> None:
    now = await database.now()
    async with database.write() as session:
        for number, state in enumerate(("live", "condemned", "deleting")):
            await session.execute(
                metadata().tables["git_pack"].insert(),
                [
                    {
                        "store_id": 1, "id": f"{number:032}", "key": f"packs/1/{number:032}", "pack_bytes": 1,
                        "index_bytes": 1, "objects": 1, "pack_sha256": "0" * 64, "index_sha256": "0" * 64,
                        "state": state, "created_at": now,
                    }
                ],
            )  # fmt: skip
    async with database.snapshot() as connection:
        files = await dump(connection, metadata(), tmp_path, tell=lambda _: None)
    assert [row["state"] for row in _rows(files, tmp_path, "git_pack")] == ["live"]
