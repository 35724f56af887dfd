"""A program opens its database checked, or not at all."""

from pathlib import Path

import pytest

from cairn.base.settings import Settings
from cairn.db.migrate import SchemaTooOld
from cairn.db.startup import open_ready_database


async def test_an_old_schema_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaTooOld, match="cairnd migrate"):
        await open_ready_database(Settings(data_dir=tmp_path, database_url=empty_database_url))


async def test_a_current_database_is_opened_with_its_warnings(any_database_url: str, tmp_path: Path) -> None:
    database, findings = await open_ready_database(Settings(data_dir=tmp_path, database_url=any_database_url))
    try:
        await database.ping()
        assert len(findings) == (0 if database.dialect == "sqlite" else 1)
    finally:
        await database.close()
