"""The page of a folder: what changed each entry last, at once or as soon as it is known."""

import html
import re
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.repositories.code import folder_page


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """The stock repository that ``ada/engine`` was pushed from."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"README.md": "# Engine\n", "src/mill.py": "1", "src/store.py": "1"}, "Begin <b>")
    made.commit({"src/mill.py": "2"}, "Grind finer")
    await forge.push_refs(repository, made, "refs/heads/main")
    return made


async def column(forge: Forge, path: str) -> dict[str, str]:
    """Return name and message of each row of a folder's table."""
    text = (await forge.browser().get(f"/ada/engine{path}")).text
    rows = re.findall(r'<tr class="tree-.*?</tr>', text, re.DOTALL)
    found = {}
    for row in rows:
        name = re.search(r"<span>(.*?)</span>", row)
        message = re.search(r'tree-message"><a href="/ada/engine/commit/[0-9a-f]{40}">(.*?)</a>', row)
        assert name
        found[html.unescape(name[1])] = html.unescape(message[1]) if message else ""
        assert ("<time" in row) == bool(message)
    return found


async def test_each_entry_shows_what_changed_it_last(forge: Forge, stock: StockRepository) -> None:
    assert await column(forge, "") == {"src": "Grind finer", "README.md": "Begin <b>"}
    assert await column(forge, "/tree/main/src") == {"mill.py": "Grind finer", "store.py": "Begin <b>"}
    assert await column(forge, f"/tree/{stock.oid('HEAD~1')}/src") == {"mill.py": "Begin <b>", "store.py": "Begin <b>"}


async def test_a_page_does_not_wait_for_a_long_history_and_says_where_the_rest_is(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_page, "_PATIENCE_SECONDS", 0)
    text = (await forge.browser().get("/ada/engine/tree/main/src?x=1")).text
    assert 'data-complete="/ada/engine/tree/main/src?x=1&amp;wait=1" aria-busy="true"' in text
    assert '<noscript><p class="card-note"><a href="/ada/engine/tree/main/src?x=1&amp;wait=1">' in text
    assert await column(forge, "/tree/main/src?wait=1") == {"mill.py": "Grind finer", "store.py": "Begin <b>"}
    again = (await forge.browser().get("/ada/engine/tree/main/src")).text
    assert "data-complete" not in again, "what is known costs no wait"
    assert await column(forge, "/tree/main/src") == {"mill.py": "Grind finer", "store.py": "Begin <b>"}


def test_a_relative_link_never_leaves_the_repository() -> None:
    for target in (b"../../../../etc/passwd", b"./../x/../../y", b"/"):
        assert not folder_page._join(b"a/b", target).startswith((b"..", b"/"))
