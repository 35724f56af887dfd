"""Histories and single commits."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, fast_import, init

from cairn.base.clock import utc_now
from cairn.git.runner import GitTimedOut
from cairn.identity.models import AccountEmail
from cairn.repositories.code import history_pages


async def get(forge: Forge, path: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}")


async def prove_addresses(forge: Forge) -> None:
    """Make every address of everybody a verified one."""
    async with forge.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=utc_now()))


def older(text: str) -> str:
    """Return where a page says that older commits are, empty for nowhere."""
    found = re.search(r'rel="next nofollow" href="/ada/engine([^"]+)"', text)
    return found[1].replace("&amp;", "&") if found else ""


def subjects(text: str) -> list[str]:
    return re.findall(r'<div class="list-title"><a href="[^"]+">([^<]*)</a>', text)


async def test_history_is_by_day_and_by_path(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, "/commits")).text
    assert "14 November 2023" in text
    assert subjects(text) == ["Third", "Second &lt;i&gt;", "change"]
    of_mill = (await get(forge, "/commits/main/src/mill.py")).text
    assert subjects(of_mill) == ["Second &lt;i&gt;", "change"]
    assert "No commits here" in (await get(forge, "/commits/main/nothing")).text


async def test_a_commit_shows_who_why_and_what(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, f"/commit/{stock.oid('v1')}")).text
    assert "Second &lt;i&gt;" in text
    assert "Why." in text
    assert "Grace" in text
    assert stock.oid("v1~1")[:10] in text
    assert "<b>2" not in text
    short = await get(forge, f"/commit/{stock.oid('v1')[:9]}")
    assert short.status_code == 200


async def test_co_authors_and_trailers_stand_beside_the_author(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    await forge.person("bob")
    await prove_addresses(forge)
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    trailers = "Co-authored-by: Robert <bob@example.test>\nCo-authored-by: Eve <i>x</i> <eve@x.org>\nFixes: <b>7"
    oid = made.commit({"a": "1"}, f"Pair\n\nWork.\n\n{trailers}\n")
    await forge.push_refs(repository, made, "refs/heads/main")
    listed = (await get(forge, "/commits")).text
    shown = (await get(forge, f"/commit/{oid}")).text
    for text in (listed, shown):
        assert 'href="/bob">bob</a>' in text, "a verified address is an account"
        assert "Eve &lt;i&gt;x&lt;/i&gt;" in text
    assert "<dt>Fixes</dt><dd>&lt;b&gt;7</dd>" in shown


async def test_every_commit_is_on_one_page_and_no_page_walks_what_came_before(forge: Forge, tmp_path: Path) -> None:
    """A thousand commits in a row, page by page: each page begins at a commit, with nothing to pass over."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    fast_import(made, ((f"c{number}", {f"f{number % 7}": b"%d" % number}) for number in range(1000)))
    await forge.push_refs(repository, made, "refs/heads/main")
    for path, wanted in (("", range(999, -1, -1)), ("/main/f3", range(997, -1, -7))):
        address, seen = f"/commits{path}", []
        while address:
            assert re.search(r"after=[0-9a-f]{40}\+0$", unquote(address)) or "after" not in address
            text = (await get(forge, address)).text
            seen += subjects(text)
            address = older(text)
        assert seen == [f"c{number}" for number in wanted]


async def test_merges_are_shown_once_and_first_parents_alone_if_wanted(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"a": "0"}, "root")
    for number in range(40):
        made.git("checkout", "-q", "-b", f"side{number}")
        made.commit({f"s{number}": "1"}, f"side {number}")
        made.git("checkout", "-q", "main")
        made.commit({"a": str(number + 1)}, f"main {number}")
        made.git("merge", "-q", "-m", f"merge {number}", f"side{number}")
    await forge.push_refs(repository, made, "refs/heads/main")
    for query, options in (("", []), ("?first_parent=1", ["--first-parent"])):
        address, seen = f"/commits{query}", []
        while address:
            text = (await get(forge, address)).text
            seen += subjects(text)
            address = older(text)
        wanted = made.git("log", "--format=%s", *options, "main").decode().splitlines()
        assert sorted(seen) == sorted(wanted), query


async def test_a_file_is_followed_across_renames_and_the_page_says_where(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    body = "".join(f"line {number}\n" for number in range(50))
    made.commit({"old.txt": body, "other": "1"}, "born")
    for number in range(40):
        made.commit({"old.txt": body + f"{number}\n"}, f"old {number}")
    made.git("mv", "old.txt", "middle name.txt")
    made.commit({"middle name.txt": body + "moved\n"}, "first move")
    (made.path / "src").mkdir()
    made.git("mv", "middle name.txt", "src/new.txt")
    made.commit({}, "second move")
    made.commit({"src/new.txt": body + "end\n"}, "new")
    await forge.push_refs(repository, made, "refs/heads/main")
    text = (await get(forge, "/commits/main/src/new.txt")).text
    assert subjects(text)[:4] == ["new", "second move", "first move", "old 39"]
    assert "renamed to <code>src/new.txt</code>" in text
    assert "<code>middle name.txt</code></a>, then it was renamed" in text
    assert "renamed to <code>middle name.txt</code>" in text
    rest = older(text)
    assert rest.startswith("/commits/main/old.txt?after="), "older ones are under the name they had"
    second = (await get(forge, rest)).text
    old = [f"old {number}" for number in range(39, -1, -1)]
    assert [*subjects(text), *subjects(second)] == ["new", "second move", "first move", *old, "born"]
    assert older(second) == ""


async def test_commits_are_chosen_by_author_words_and_days(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    await forge.person("bob")
    await prove_addresses(forge)
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    days = {"one": "2024-01-01", "two": "2024-01-02", "three": "2024-01-03"}
    for name, day in days.items():
        author = "Robert <bob@example.test>" if name == "two" else "Carol C <carol@x.org>"
        made.git(
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            f"{name} (a.b)",
            f"--author={author}",
            env={"GIT_COMMITTER_DATE": f"{day}T12:00:00Z"},
        )
    await forge.push_refs(repository, made, "refs/heads/main")
    for query, wanted in {
        "author=bob": ["two (a.b)"],
        "author=carol%20c": ["three (a.b)", "one (a.b)"],
        "author=carol@x.org": ["three (a.b)", "one (a.b)"],
        "message=THREE": ["three (a.b)"],
        "message=(a.b)": ["three (a.b)", "two (a.b)", "one (a.b)"],
        "message=aXb": [],
        "since=2024-01-02&until=2024-01-02": ["two (a.b)"],
        "author=--output=/x": [],
        "message=%00": ["three (a.b)", "two (a.b)", "one (a.b)"],
    }.items():
        answer = await get(forge, f"/commits?{query}")
        assert (answer.status_code, subjects(answer.text)) == (200, wanted), query
    wrong = await get(forge, "/commits?since=yesterday")
    assert wrong.status_code == 422
    assert "is no day such as" in wrong.text


async def test_a_history_that_takes_too_long_says_what_to_do(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object, **__: object) -> None:
        raise GitTimedOut("too long")

    monkeypatch.setattr(history_pages, "read_history", slow)
    answer = await get(forge, "/commits?author=nobody")
    assert answer.status_code == 200
    assert "takes too long" in answer.text


async def test_a_page_beginning_nowhere_here_is_not_found(forge: Forge, stock: StockRepository) -> None:
    """Attack: an address that names a commit of a private repository, or none, as the place to begin."""
    eve = await forge.person("eve")
    secret = await forge.repository(eve, "secret", files={"a": b"1"})
    there = (await forge.engine.snapshot(await forge.engine.state(secret.store_id))).refs[0].oid
    for oid in ("1" * 40, there, stock.oid("v1^{tree}")):
        assert (await get(forge, f"/commits?after={oid}%2B0")).status_code == 404
    for after in ("x", "%00", "1" * 39, stock.oid("v1") + "-1"):
        assert (await get(forge, f"/commits?after={after}")).status_code == 200, "what is no place is the beginning"
    far = await get(forge, f"/commits?after={stock.oid('v1')}%2B99999999")
    assert "No commits here" in far.text


async def test_branches_and_tags_that_contain_a_commit_are_told_on_demand(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, f"/commit/{stock.oid('v1')}")).text
    address = f"/ada/engine/commit/{stock.oid('v1')}/refs"
    assert f'href="{address}"' in text
    found = (await forge.browser().get(address)).text
    for name in ("main", "feature/x", "v1", "v2"):
        assert f">{name}</a>" in found.replace("</svg>", ">"), name
    newest = (await get(forge, f"/commit/{stock.oid('main')}/refs")).text
    assert "refs/tags/v1" not in newest
    assert "2 branches" in newest
