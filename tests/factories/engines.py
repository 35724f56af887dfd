"""The repository engine over a test's database, with a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.engine import Engine, open_engine
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import open_storage


@pytest.fixture
async def engine(database: Database, tmp_path: Path) -> AsyncIterator[Engine]:
    """A real engine: git, folder storage, the test's database."""
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, database, open_storage(settings), make_examine=make_examine) as opened:
        yield opened
