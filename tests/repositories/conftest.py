"""Fixtures of this folder: an engine, a forge, and in it a repository with every kind of thing in its tree."""

from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.forge import Forge, forge, patient_pages
from tests.factories.git_repositories import StockRepository, init

__all__ = ["engine", "forge", "patient_pages", "stock"]


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine: text, Markdown, a picture, a binary, a link, odd names, three commits, two branches, two tags."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", description="Mill & store")
    made = init(tmp_path / "stock")
    readme = "# Engine\n\n[mill](src/mill.py) [up](../x) ![logo](logo.png) <script>alert(1)</script>\n"
    made.commit(
        {"README.md": readme, "src/mill.py": "def mill():\n    return 1\n", "logo.png": b"\x89PNG\0", "x.bin": b"\0"}
    )
    made.commit(
        {"src/mill.py": "def mill():\n    return '<b>2</b>'\n", "src/evil.html": "<script>alert(1)</script>"},
        "Second <i>\n\nWhy.",
    )
    made.git("tag", "v1")
    made.git("tag", "-a", "v2", "-m", "Two")
    made.git("tag", "blob", "HEAD:x.bin")
    oid = made.git("hash-object", "-w", "--stdin", stdin=b"README.md").decode().strip()
    made.git("update-index", "--add", "--cacheinfo", f"120000,{oid},link")
    made.git("commit", "-q", "-m", "Third")
    made.git("branch", "feature/x")
    names = ["refs/heads/main", "refs/heads/feature/x", "refs/tags/v1", "refs/tags/v2", "refs/tags/blob"]
    await forge.push_refs(repository, made, *names)
    return made
