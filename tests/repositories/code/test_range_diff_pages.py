"""The page and the operation that compare two versions of a series."""

import html
import re
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init
from tests.web.support import ORIGIN

from cairn.git import range_diff

PAGE = "/ada/engine/range-diff"
API = f"{ORIGIN}/api/cairn/v1/repos/ada/engine/range-diff"


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine: ``v1`` and ``v2`` of a series."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"f": "1\n2\n3\n"}, "Begin")
    made.git("checkout", "-q", "-b", "v1")
    made.commit({"f": "1\n<two>\n3\n"}, "Say <two>\n\nShort.")
    made.commit({"g": "g\n"}, "Add g")
    made.commit({"gone": "not any more\n"}, "Not any more")
    made.git("checkout", "-q", "-b", "v2", "main")
    made.commit({"g": "g\n"}, "Add g")
    made.commit({"f": "1\n<TWO>\n3\n"}, "Say <two>\n\nLoud.")
    made.commit({"more": "x\n"}, "More")
    await forge.push_refs(repository, made, "refs/heads/main", "refs/heads/v1", "refs/heads/v2")
    return made


async def get(forge: Forge, path: str, status: int = 200) -> str:
    answer = await forge.browser().get(f"{PAGE}{path}")
    assert answer.status_code == status, answer.text
    return answer.text


def words(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]*>", " ", text))).replace(" ,", ",").replace(" .", ".")


async def test_the_page_pairs_commits_and_shows_both_signs_in_words(forge: Forge, stock: StockRepository) -> None:
    text = await get(forge, "/v1...v2")
    said = words(text)
    assert "1 unchanged, 1 changed, 1 new, 1 dropped." in said
    for status in ("Unchanged", "Changed", "New", "Dropped"):
        assert status in said
    rows = [words(row).strip() for row in re.findall(r"<tr class=\"series-of.*?</tr>", text, re.DOTALL)]
    assert "old Short." in rows
    assert "new Loud." in rows
    assert "old + <two>" in rows
    assert "new + <TWO>" in rows
    assert "\N{MINUS SIGN} 2" in rows
    assert "<two>" not in text
    assert f'href="/ada/engine/commit/{stock.oid("v1~2")}"' in text
    assert f'href="{PAGE}/v2...v1"' in text


async def test_the_permanent_link_shows_the_same(forge: Forge, stock: StockRepository) -> None:
    text = await get(forge, "/main..v1...main..v2")
    main, old, new = (stock.oid(name) for name in ("main", "v1", "v2"))
    permanent = f"/{main}..{old}...{main}..{new}"
    assert f'href="{PAGE}{permanent}"' in text
    assert words(text).count("Say <two>") == words(await get(forge, permanent)).count("Say <two>")


async def test_equal_versions_are_called_equal(forge: Forge, stock: StockRepository) -> None:
    assert "Both versions have the same commits" in await get(forge, "/main..v1...main..v1")
    assert "Neither version has a commit of its own" in await get(forge, "/main..main...main..main")


async def test_the_form_leads_there_and_keeps_what_was_typed(forge: Forge, stock: StockRepository) -> None:
    browser = forge.browser()
    for query, target in {
        "old=v1&new=%20v2": "/v1...v2",
        "base=main&old=v1&new=v2": "/main..v1...v2",
        "base=main&old=v1&new=v2&new_base=a/b": "/main..v1...a/b..v2",
    }.items():
        answer = await browser.get(f"{PAGE}?{query}")
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE + target)
    assert 'value="v2"' in await get(forge, "?new=v2")
    wrong = await get(forge, "/main..v1...main..nowhere<b>", 404)
    assert "there is no branch, tag or commit" in wrong
    assert 'value="nowhere&lt;b&gt;"' in wrong
    assert f'href="{PAGE}?new=main' in (await browser.get("/ada/engine/compare/v1...main")).text
    assert f'href="{PAGE}"' in (await browser.get("/ada/engine/compare")).text


async def test_a_series_that_is_too_long_is_told_with_the_command_to_use(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_diff, "COMMITS_MAX", 2)
    text = await get(forge, "/v1...v2", 422)
    assert "more than 2 commits" in text
    assert f"git range-diff {stock.oid('main')}..{stock.oid('v1')}" in text
    answer = await forge.api().get(f"{API}/v1...v2")
    assert answer.status_code == 413
    assert "more than 2 commits" in answer.json()["message"]


async def test_the_operation_answers_the_same_as_data(forge: Forge, stock: StockRepository) -> None:
    body = (await forge.api().get(f"{API}/v1...v2")).json()
    assert set(body) == {"url", "html_url", "old", "new", "identical", "counts", "pairs"}
    assert body["counts"] == {"equal": 1, "changed": 1, "added": 1, "dropped": 1}
    assert body["old"] == {"base_sha": stock.oid("main"), "sha": stock.oid("v1"), "merges": 0}
    assert body["identical"] is False
    [changed] = [pair for pair in body["pairs"] if pair["status"] == "changed"]
    assert changed["old"] == {"position": 1, "sha": stock.oid("v1~2")}
    assert changed["new"] == {"position": 2, "sha": stock.oid("v2~1")}
    assert {"side": "old", "kind": "added", "content": "<two>", "cut_bytes": 0} in changed["lines"]
    assert (await forge.api().get(body["url"])).json() == body
    assert (await forge.api().get(f"{API}/v1..v2")).status_code == 404


async def test_a_private_repository_is_not_told_of(forge: Forge, stock: StockRepository) -> None:
    from cairn.access.roles import Visibility

    await forge.repository(forge.people["ada"], "secret", files={"a": b"1"}, visibility=Visibility.PRIVATE)
    for path in ("", "/main...main"):
        assert (await forge.browser().get(f"/ada/secret/range-diff{path}")).status_code == 404
    answer = await forge.api().get(f"{API.replace('engine', 'secret')}/main...main")
    assert answer.status_code == 404
