"""The home of a repository and its folders."""

import html
from typing import Any

from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository


async def get(forge: Forge, path: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}")


async def test_home_shows_tree_readme_and_where_to_clone(forge: Forge, stock: StockRepository) -> None:
    text = html.unescape((await get(forge, "")).text)
    assert "Mill & store" in text
    assert 'href="/ada/engine/tree/main/src"' in text
    assert 'href="/ada/engine/blob/main/README.md"' in text
    assert "http://cairn.test:3000/ada/engine.git" in text
    assert "ssh://git@cairn.test:2222/ada/engine.git" in text
    assert "3 commits" in text
    assert "Third" in text


async def test_markdown_runs_nothing_and_its_links_stay_in_the_revision(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, "")).text
    assert "<script>alert" not in text
    assert 'href="/ada/engine/blob/main/src/mill.py"' in text
    assert 'src="/ada/engine/raw/main/logo.png"' in text
    # Out of the repository there is nothing: the path stops at its root.
    assert 'href="/ada/engine/blob/main/x"' in text


async def test_folder_and_file_addresses_lead_to_each_other(forge: Forge, stock: StockRepository) -> None:
    wrong_tree = await get(forge, "/tree/main/README.md")
    assert (wrong_tree.status_code, wrong_tree.headers["location"]) == (303, "/ada/engine/blob/main/README.md")
    wrong_blob = await get(forge, "/blob/feature/x/src")
    assert wrong_blob.headers["location"] == "/ada/engine/tree/feature/x/src"
