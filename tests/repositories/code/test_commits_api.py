"""History over REST: lists, one commit in four forms, branches and tags."""

from pathlib import Path
from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init
from tests.web.support import ORIGIN

from cairn.repositories.rules.protected_branches import RefRules


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """Three commits, the last on a branch of its own, with a rename, a deletion, a binary; tags of both kinds."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"a": "1\n2\n3\n", "old": "the same words\n" * 5, "gone": "x\n"}, "First\n\nBecause.")
    made.commit({"a": "1\nzwei\n3\n", "gone": None}, "Second")
    made.git("tag", "light")
    made.git("tag", "-a", "v1", "-m", "Version one")
    made.git("checkout", "-q", "-b", "feature/x")
    made.git("mv", "old", "new")
    made.commit({"b.bin": b"\0\1"}, "Third: Größe")
    await forge.push_refs(
        repository, made, "refs/heads/main", "refs/heads/feature/x", "refs/tags/light", "refs/tags/v1"
    )
    return made


async def get(forge: Forge, path: str, accept: str = "") -> Any:
    return await forge.api().get(f"/repos/ada/engine{path}", headers={"accept": accept} if accept else {})


def shas(answer: Any) -> list[str]:
    return [item["sha"] for item in answer.json()]


async def test_history_is_listed_by_revision_path_and_page(forge: Forge, stock: StockRepository) -> None:
    first, second, third = stock.oid("main~1"), stock.oid("main"), stock.oid("feature/x")
    assert shas(await get(forge, "/commits")) == [second, first]
    assert shas(await get(forge, "/commits?sha=feature/x")) == [third, second, first]
    assert shas(await get(forge, f"/commits?sha={first}")) == [first]
    assert shas(await get(forge, "/commits?sha=v1&path=gone")) == [second, first]
    page = await get(forge, "/commits?sha=feature/x&per_page=2")
    assert shas(page) == [third, second]
    assert 'page=2>; rel="next"' in page.headers["link"]
    last = await get(forge, "/commits?sha=feature/x&per_page=2&page=2")
    assert shas(last) == [first]
    assert 'rel="next"' not in last.headers["link"]
    assert (await get(forge, "/commits?sha=nowhere")).status_code == 404


async def test_history_is_cut_at_moments_and_filters_are_never_ignored(forge: Forge, stock: StockRepository) -> None:
    assert shas(await get(forge, "/commits?until=2023-01-01T00:00:00Z")) == []
    assert len(shas(await get(forge, "/commits?since=2023-01-01T00:00:00Z"))) == 2
    assert len(shas(await get(forge, "/commits?since=2023-01-01T00:00:00+02:00"))) == 2
    for query in ("since=yesterday", "committer=ada"):
        assert (await get(forge, f"/commits?{query}")).status_code == 422, query


async def test_a_commit_has_people_counts_and_files(forge: Forge, stock: StockRepository) -> None:
    body = (await get(forge, "/commits/main")).json()
    assert body["sha"] == stock.oid("main")
    assert body["commit"]["message"] == "Second"
    # GitHub gives every time in UTC; the author wrote an hour ahead of it.
    assert body["commit"]["author"] == {"name": "Ada", "email": "ada@example.org", "date": "2023-11-14T22:13:20Z"}
    assert body["commit"]["tree"]["sha"] == stock.oid("main^{tree}")
    assert [parent["sha"] for parent in body["parents"]] == [stock.oid("main~1")]
    assert body["stats"] == {"total": 3, "additions": 1, "deletions": 2}
    changed, gone = body["files"]
    assert (changed["filename"], changed["status"], changed["changes"]) == ("a", "modified", 2)
    assert changed["patch"] == "@@ -1,3 +1,3 @@\n 1\n-2\n+zwei\n 3"
    assert (gone["filename"], gone["status"], gone["sha"]) == ("gone", "removed", stock.oid("main~1:gone"))
    # What is gone is shown as it was.
    assert stock.oid("main~1") in gone["raw_url"]
    assert (await forge.browser().get(gone["raw_url"])).text == "x\n"


async def test_a_rename_and_a_binary_are_told_as_such(forge: Forge, stock: StockRepository) -> None:
    binary, renamed = (await get(forge, "/commits/feature/x")).json()["files"]
    assert (renamed["status"], renamed["filename"], renamed["previous_filename"]) == ("renamed", "new", "old")
    assert (binary["status"], "patch" in binary) == ("added", False)


async def test_the_files_of_a_commit_have_pages(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={f"{number}": b"x\n" for number in range(5)})
    first = await get(forge, "/commits/main?per_page=2")
    assert [file["filename"] for file in first.json()["files"]] == ["0", "1"]
    assert first.json()["stats"]["total"] == 5
    assert 'page=3>; rel="last"' in first.headers["link"]
    last = await get(forge, "/commits/main?per_page=2&page=3")
    assert [file["filename"] for file in last.json()["files"]] == ["4"]


async def test_the_patch_of_a_commit_applies_with_git(forge: Forge, stock: StockRepository, tmp_path: Path) -> None:
    """``git am`` takes the patch form, ``git apply`` the diff form: the same tree comes out."""
    for accept, command in (("patch", ["am", "-q"]), ("diff", ["apply", "--index"])):
        answer = await get(forge, "/commits/feature/x", f"application/vnd.github.{accept}")
        assert answer.headers["content-type"] == f"application/vnd.github.{accept}; charset=utf-8"
        copy = init(tmp_path / accept)
        copy.git("fetch", "-q", stock.path, "main")
        copy.git("checkout", "-q", "FETCH_HEAD")
        text = answer.content
        if accept == "patch":
            assert b"Subject: [PATCH] =?UTF-8?" in text
            # A binary has no lines to mail: git refuses it, so it is left out here.
            text = _without_binary(text)
        copy.git(*command, stdin=_without_binary(text))
        assert copy.oid(":new") == stock.oid("feature/x:new")
    assert stock.git("log", "-1", "--format=%an", "feature/x").decode().strip() == "Ada"


def _without_binary(patch: bytes) -> bytes:
    parts = patch.split(b"diff --git ")
    tail = b"-- \n2.0.0\n\n" if patch.endswith(b"-- \n2.0.0\n\n") else b""
    kept = [part for part in parts[1:] if b"Binary files" not in part]
    return parts[0] + b"".join(b"diff --git " + part for part in kept) + (tail if tail not in b"".join(kept) else b"")


async def test_a_commit_is_answered_by_its_id_alone(forge: Forge, stock: StockRepository) -> None:
    for name in ("main", "heads/main", "v1", "HEAD", stock.oid("main")[:8]):
        answer = await get(forge, f"/commits/{name}", "application/vnd.github.sha")
        assert (name, answer.text) == (name, stock.oid("main"))
    assert (await get(forge, "/commits/nowhere")).status_code == 404


async def test_an_empty_repository_says_so(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    for path in ("/commits", "/commits/main"):
        answer = await get(forge, path)
        assert (answer.status_code, answer.json()["message"]) == (409, "Git Repository is empty.")
    assert (await get(forge, "/branches")).json() == []


async def test_branches_are_listed_and_read_whole(forge: Forge, stock: StockRepository) -> None:
    listed = (await get(forge, "/branches")).json()
    assert [(item["name"], item["protected"]) for item in listed] == [("feature/x", False), ("main", False)]
    assert listed[1]["commit"]["sha"] == stock.oid("main")
    assert (await get(forge, "/branches?protected=true")).json() == []
    assert (await get(forge, "/branches?protected=maybe")).status_code == 422
    paged = await get(forge, "/branches?per_page=1")
    assert f'<{ORIGIN}/api/v3/repos/ada/engine/branches?per_page=1&page=2>; rel="next"' in paged.headers["link"]
    for address in ("/branches/feature/x", "/branches/feature%2Fx"):
        body = (await get(forge, address)).json()
        assert (body["name"], body["commit"]["sha"]) == ("feature/x", stock.oid("feature/x"))
        assert body["_links"]["html"] == f"{ORIGIN}/ada/engine/tree/feature/x"
    assert (await get(forge, "/branches/feature")).status_code == 404
    assert (await get(forge, "/branches/v1")).status_code == 404


async def test_tags_are_listed_with_the_commit_they_mean(forge: Forge, stock: StockRepository) -> None:
    listed = (await get(forge, "/tags")).json()
    assert [item["name"] for item in listed] == ["v1", "light"]
    assert {item["commit"]["sha"] for item in listed} == {stock.oid("main")}


async def test_commits_are_chosen_by_author(forge: Forge, stock: StockRepository) -> None:
    everything = shas(await get(forge, "/commits"))
    assert everything
    assert shas(await get(forge, "/commits?author=ADA@example.org")) == everything
    assert shas(await get(forge, "/commits?author=nobody@example.org")) == []


async def test_branches_whose_last_commit_it_is(forge: Forge, stock: StockRepository) -> None:
    tip, older = stock.oid("main"), stock.oid("main~1")
    wanted = stock.git("branch", "--format=%(refname:short)", "--points-at", "main").decode().split()
    found = (await get(forge, f"/commits/{tip}/branches-where-head")).json()
    assert [branch["name"] for branch in found] == wanted
    assert all(branch["commit"]["sha"] == tip for branch in found)
    pointing = stock.git("branch", "--format=%(refname:short)", "--points-at", older).decode().split()
    found = (await get(forge, f"/commits/{older}/branches-where-head")).json()
    assert [branch["name"] for branch in found] == pointing
    assert (await get(forge, f"/commits/{'1' * 40}/branches-where-head")).status_code in {404, 422}


async def test_a_page_of_branches_asks_rules_about_its_own_only(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"a"})
    for number in range(5):
        await forge.commit(ada, repository, {"a": b"%d" % number}, branch=b"refs/heads/b-%d" % number)
    asked: list[bytes] = []
    is_protected = RefRules.is_protected

    def counting(rules: RefRules, name: bytes) -> bool:
        asked.append(name)
        return is_protected(rules, name)

    monkeypatch.setattr(RefRules, "is_protected", counting)
    assert len((await forge.api(ada).get("/repos/ada/engine/branches?per_page=2")).json()) == 2
    assert len(asked) == 2
