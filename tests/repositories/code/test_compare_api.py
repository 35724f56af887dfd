"""``GET …/compare/{basehead}``: as GitHub answers, page by page, as diff and as mails."""

from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, clone, init


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """The stock repository that ``ada/engine`` was pushed from."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"a": "1\n", "gone": "1\n"}, "Begin")
    made.git("branch", "old")
    made.commit({"a": "2\n"}, "Two")
    made.commit({"gone": None, "n": "new\n"}, "Three")
    made.git("checkout", "-q", "-b", "side", "old")
    made.commit({"s": "1\n"}, "Side")
    made.git("checkout", "-q", "main")
    await forge.push_refs(repository, made, "refs/heads/main", "refs/heads/old", "refs/heads/side")
    return made


async def test_commits_are_oldest_first_with_the_files_of_all(forge: Forge, stock: StockRepository) -> None:
    api = forge.api(forge.people["ada"])
    body = (await api.get("/repos/ada/engine/compare/old...main")).json()
    assert (body["status"], body["ahead_by"], body["behind_by"], body["total_commits"]) == ("ahead", 2, 0, 2)
    assert [one["commit"]["message"] for one in body["commits"]] == ["Two", "Three"]
    assert {one["filename"]: one["status"] for one in body["files"]} == {
        "a": "modified",
        "gone": "removed",
        "n": "added",
    }
    [gone] = [one for one in body["files"] if one["filename"] == "gone"]
    assert f"/{stock.oid('old')}/gone" in gone["blob_url"]
    assert body["base_commit"]["sha"] == body["merge_base_commit"]["sha"] == stock.oid("old")
    assert body["permalink_url"].endswith(f"/ada/engine/compare/{stock.oid('old')}...{stock.oid('main')}")
    assert (await api.get("/repos/ada/engine/compare/main...old")).json()["status"] == "behind"
    apart = (await api.get("/repos/ada/engine/compare/main...side")).json()
    assert (apart["status"], apart["ahead_by"], apart["behind_by"]) == ("diverged", 1, 2)
    assert [one["filename"] for one in apart["files"]] == ["s"]


async def test_pages_hold_some_commits_each_and_only_the_first_has_files(forge: Forge, stock: StockRepository) -> None:
    api = forge.api(forge.people["ada"])
    first = await api.get("/repos/ada/engine/compare/old...main?per_page=1")
    assert [one["commit"]["message"] for one in first.json()["commits"]] == ["Two"]
    assert 'rel="next"' in first.headers["link"]
    second = (await api.get("/repos/ada/engine/compare/old...main?per_page=1&page=2")).json()
    assert ([one["commit"]["message"] for one in second["commits"]], second["files"]) == (["Three"], [])
    beyond = (await api.get("/repos/ada/engine/compare/old...main?per_page=1&page=3")).json()
    assert (beyond["commits"], beyond["total_commits"]) == ([], 2)


async def test_git_takes_the_diff_and_the_mails(forge: Forge, stock: StockRepository, tmp_path: Path) -> None:
    api = forge.api(forge.people["ada"])
    for kind, words in (("diff", ["apply"]), ("patch", ["am", "-q"])):
        answer = await api.get(
            "/repos/ada/engine/compare/old...main", headers={"accept": f"application/vnd.github.{kind}"}
        )
        assert answer.status_code == 200
        old = clone(stock, tmp_path / kind, "-b", "old")
        (tmp_path / "text").write_bytes(answer.content)
        old.git(*words, tmp_path / "text")
        assert sorted(path.name for path in old.path.iterdir()) == [".git", "a", "n"]
        assert (old.path / "a").read_text() == "2\n"


async def test_what_is_not_there_is_not_found(forge: Forge, stock: StockRepository) -> None:
    for address in ("old...nothing", "x..main", "..."):
        assert (await forge.api(forge.people["ada"]).get(f"/repos/ada/engine/compare/{address}")).status_code == 404
