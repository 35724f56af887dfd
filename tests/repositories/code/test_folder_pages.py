"""The home of a repository and its folders."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.repositories.code import folder_pages


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


async def test_folder_and_file_addresses_lead_to_each_other(forge: Forge, stock: StockRepository) -> None:
    wrong_tree = await get(forge, "/tree/main/README.md")
    assert (wrong_tree.status_code, wrong_tree.headers["location"]) == (303, "/ada/engine/blob/main/README.md")
    wrong_blob = await get(forge, "/blob/feature/x/src")
    assert wrong_blob.headers["location"] == "/ada/engine/tree/feature/x/src"


@pytest.fixture
async def mill(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine of two commits: the second changed one of three files."""
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


async def test_each_entry_shows_what_changed_it_last(forge: Forge, mill: StockRepository) -> None:
    assert await column(forge, "") == {"src": "Grind finer", "README.md": "Begin <b>"}
    assert await column(forge, "/tree/main/src") == {"mill.py": "Grind finer", "store.py": "Begin <b>"}
    assert await column(forge, f"/tree/{mill.oid('HEAD~1')}/src") == {"mill.py": "Begin <b>", "store.py": "Begin <b>"}


async def test_a_page_does_not_wait_for_a_long_history_and_says_where_the_rest_is(
    forge: Forge, mill: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_pages, "_PATIENCE_SECONDS", 0)
    text = (await forge.browser().get("/ada/engine/tree/main/src?x=1")).text
    assert 'hx-get="/ada/engine/tree/main/src?x=1&amp;wait=1"' in text
    assert '<p class="card-note late-link"><a href="/ada/engine/tree/main/src?x=1&amp;wait=1">' in text
    assert await column(forge, "/tree/main/src?wait=1") == {"mill.py": "Grind finer", "store.py": "Begin <b>"}
    again = (await forge.browser().get("/ada/engine/tree/main/src")).text
    assert "aria-busy" not in again, "what is known costs no wait"
    assert await column(forge, "/tree/main/src") == {"mill.py": "Grind finer", "store.py": "Begin <b>"}


async def test_single_folders_are_one_row_and_each_kind_says_what_it_is(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    commit = made.commit({"src/main/java/A.java": "", "run": "x", ".gitmodules": ""})
    for name, target in (("in", b"src/main"), ("out", b"/etc/passwd")):
        oid = made.git("hash-object", "-w", "--stdin", stdin=target).decode().strip()
        made.git("update-index", "--add", "--cacheinfo", f"120000,{oid},{name}")
    made.git("update-index", "--chmod=+x", "run")
    made.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor")
    made.write(".gitmodules", '[submodule "v"]\n\tpath = vendor\n\turl = ../mill.git\n')
    made.git("add", ".gitmodules")
    made.git("commit", "-q", "-m", "everything")
    await forge.push_refs(repository, made, "refs/heads/main")
    text = (await get(forge, "")).text
    assert 'href="/ada/engine/tree/main/src/main/java"' in text
    assert '<span class="tree-lead">src/main/</span>java' in text
    assert f'@ <a href="/ada/mill/tree/{commit}">{commit[:10]}</a>' in text
    assert 'href="/ada/engine/blob/main/vendor"' in text
    assert '→ <a href="/ada/engine/blob/main/src/main">src/main</a>' in text
    assert "→ /etc/passwd" in text
    assert text.count(">executable<") == 1


async def test_a_very_large_folder_comes_in_parts_and_says_so(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.git.folder_listing.ENTRIES_PER_PART", 10)
    monkeypatch.setattr(folder_pages, "ENTRIES_PER_PART", 10)
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={f"many/{number:03}": b"" for number in range(25)} | {"x": b""})
    path = "/ada/engine/tree/main/many"
    seen: list[str] = []
    while path:
        text = html.unescape((await forge.browser().get(path)).text)
        names = re.findall(r'class="tree-file"><td class="tree-name"><a[^>]*>.*?<span>(\d+)</span>', text)
        assert f"Entries {len(seen) + 1} to {len(seen) + len(names)} of 25" in text
        seen += names
        later = re.search(r'rel="next" href="([^"]+)"', text)
        path = later[1] if later else ""
    assert seen == [f"{number:03}" for number in range(25)]
    beyond = await get(forge, "/tree/main/many?skip=99")
    assert "25 entries, none so far down" in beyond.text
    assert "Entries" not in (await get(forge, "")).text
