"""Lists of branches and tags."""

from typing import Any

from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository


async def get(forge: Forge, path: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}")


async def test_branches_and_tags_are_listed(forge: Forge, stock: StockRepository) -> None:
    branches = (await get(forge, "/branches")).text
    assert 'href="/ada/engine/tree/feature/x"' in branches
    assert branches.index("Default") < branches.index("feature/x")
    tags = (await get(forge, "/tags")).text
    # A tag that names a file has no commit to show, and breaks nothing.
    assert ('/ada/engine/tree/v1"' in tags, '/ada/engine/tree/v2"' in tags, "/tree/blob" in tags) == (True, True, False)
