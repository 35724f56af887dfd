"""The page of a comparison: its words, its commits, its files page by page, and a form that keeps what was typed."""

import html
import re
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

PAGE = "/ada/engine/compare"


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """The stock repository that ``ada/engine`` was pushed from."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"README": "1"}, "Begin")
    made.git("branch", "old")
    made.git("branch", "a/b")
    made.commit({f"file{number:04}": str(number) for number in range(350)}, "Many <files>")
    await forge.push_refs(repository, made, "refs/heads/main", "refs/heads/old", "refs/heads/a/b")
    return made


async def get(forge: Forge, path: str, status: int = 200) -> str:
    answer = await forge.browser().get(f"{PAGE}{path}")
    assert answer.status_code == status
    return html.unescape(answer.text)


async def test_commits_and_files_are_shown_some_hundred_at_a_time(forge: Forge, stock: StockRepository) -> None:
    text = await get(forge, "/a/b...main")
    assert "main has 1 commit more" in text
    assert "Many <files>" in text
    assert "350 files changed" in text
    assert len(re.findall('class="diff-file"', text)) == 100
    [later] = re.findall(r'rel="next" href="/ada/engine/compare([^"]*)"', text)
    assert later == "/a/b...main?skip=100"
    rest = await get(forge, "/a/b...main?skip=300")
    assert len(re.findall('class="diff-file"', rest)) == 50
    assert 'rel="next"' not in rest
    assert 'rel="prev" href="/ada/engine/compare/a/b...main?skip=200"' in rest
    part = await get(forge, "/a/b...main?skip=300&part=1")
    assert "<html" not in part
    assert len(re.findall('class="diff-file"', part)) == 50


async def test_the_two_can_be_swapped_and_compared_as_they_are(forge: Forge, stock: StockRepository) -> None:
    text = await get(forge, "/old...main")
    for way in ("main...old", "old..main"):
        assert f'href="{PAGE}/{way}"' in text
    assert "old has nothing that main has not; it is 1 commit behind" in await get(forge, "/main...old")
    assert "350 files changed" in await get(forge, "/main..old")
    assert "Both are the same commit" in await get(forge, "/old...old")


async def test_the_form_leads_there_and_keeps_what_was_typed(forge: Forge, stock: StockRepository) -> None:
    assert 'value="main"' in await get(forge, "")
    answer = await forge.browser().get(f"{PAGE}?base=a/b&head=%20main")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}/a/b...main")
    wrong = await get(forge, "/main...nowhere<b>", 404)
    assert "there is no branch, tag or commit" in wrong
    assert 'value="nowhere<b>"' in wrong
