"""What the long-running programs stand on, opened in this process."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cairn.base.settings import Settings
from cairn.programs.services import Services, open_services


@pytest.fixture
def embedded(tmp_path: Path, sqlite_template: Path) -> Settings:
    """Settings of a migrated installation on SQLite and a folder."""
    (tmp_path / "data").mkdir()
    settings = Settings(data_dir=tmp_path / "data", drain_seconds=1)
    shutil.copyfile(sqlite_template, settings.effective_database_url.removeprefix("sqlite:///"))
    return settings


@pytest.fixture
async def services(embedded: Settings) -> AsyncIterator[Services]:
    """What web, ssh and worker share."""
    async with open_services(embedded) as opened:
        yield opened
