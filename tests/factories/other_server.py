"""Fixtures of imports and mirrors: a forge that may reach this machine, ada, and a server with a repository."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer, serve_git
from tests.factories.git_repositories import StockRepository
from tests.factories.importing import make_source, open_reaching_forge


@pytest.fixture
async def forge(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    """A forge of this test's own that may connect to servers of this machine."""
    async with open_reaching_forge(tmp_path / "forge", sqlite_template) as opened:
        yield opened


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Somebody with an account there."""
    return await forge.person("ada")


@pytest.fixture
def source(tmp_path: Path) -> StockRepository:
    """``r.git``, as ``make_source`` makes it."""
    (tmp_path / "served").mkdir()
    return make_source(tmp_path / "served")


@pytest.fixture
async def server(source: StockRepository) -> AsyncIterator[GitServer]:
    """Another server, which has it."""
    async with serve_git(source.path.parent) as running:
        yield running
