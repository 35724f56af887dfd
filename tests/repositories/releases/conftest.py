"""Repositories with something to release."""

from pathlib import Path
from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init
from tests.repositories.releases.support import RELEASES

from cairn.repositories.queries import RepositoryView


@pytest.fixture
async def place(forge: Forge, tmp_path: Path) -> tuple[RepositoryView, StockRepository]:
    """ada's repository with two commits on main, a branch at the first, and an annotated tag there."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    stock = init(tmp_path / "stock")
    stock.commit({"README.md": "# Engine\n"})
    stock.git("tag", "-a", "-m", "One", "v1.0")
    stock.git("branch", "stable")
    stock.commit({"mill.py": "x = 1\n"})
    await forge.push_refs(repository, stock, "refs/heads/main", "refs/heads/stable", "refs/tags/v1.0")
    return repository, stock


@pytest.fixture
async def released(forge: Forge) -> tuple[RepositoryView, Any]:
    """ada's repository with a release of it."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    made = await forge.api(ada).call("POST", RELEASES, json={"tag_name": "v1.0"})
    return repository, made.json()


@pytest.fixture
async def repository(forge: Forge) -> RepositoryView:
    """ada's repository with one commit and no tag."""
    ada = await forge.person("ada")
    return await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
