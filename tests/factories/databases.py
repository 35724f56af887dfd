"""The ``database`` fixture of domain tests: the whole schema on SQLite and on PostgreSQL, empty for each test.

A folder's ``conftest.py`` takes it by importing it.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cairn.db.base import Base
from cairn.db.database import Database, open_database

# Every table: models register themselves when they are imported.
import cairn.access.models  # isort: skip
import cairn.audit.models  # isort: skip
import cairn.events.models  # isort: skip
import cairn.git.models  # isort: skip
import cairn.identity.models  # isort: skip
import cairn.jobs.models  # isort: skip
import cairn.repositories.models  # noqa: F401 # isort: skip


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database with the current schema."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'cairn.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    opened = open_database(url, pool_size=4)
    try:
        async with opened.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield opened
    finally:
        await opened.close()
