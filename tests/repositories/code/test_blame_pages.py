"""Blame: the commit beside each line, the file before a change, and commits that are passed over."""

import html
import re
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.git.blame import Blame
from cairn.git.runner import GitTimedOut
from cairn.repositories.code.blame_pages import AGES


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """The stock repository that ``ada/engine`` was pushed from."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"src/mill ü.py": "one\ntwo\nthree\n", "empty": "", "x.bin": b"\0"}, "Begin <b>")
    made.git("mv", "src/mill ü.py", "src/mill.py")
    reformat = made.commit({"src/mill.py": "one\nTWO\nthree\n"}, "Shout")
    made.commit({"note": "1"}, "Else")
    made.git("branch", "plain")
    made.commit({".git-blame-ignore-revs": f"# format\n{reformat} # shouting\n{'1' * 40}\nnonsense\n"}, "Ignore it")
    await forge.push_refs(repository, made, "refs/heads/main", "refs/heads/plain")
    return made


async def blame(forge: Forge, address: str) -> list[str]:
    """Return the subject that stands beside each line."""
    answer = await forge.browser().get(f"/ada/engine/blame/{address}")
    assert answer.status_code == 200
    subjects: list[str] = []
    for group in re.findall(r"<tbody>(.*?)</tbody>", answer.text, re.DOTALL):
        subject = re.search(r"blame-subject[^>]*>(.*?)</a>", group)
        assert subject
        assert group.count("<tr") == int((re.search(r'rowspan="(\d+)"', group) or [0, 0])[1])
        subjects += [html.unescape(subject[1])] * group.count("<tr")
    assert [int(number) for number in re.findall(r'<tr id="L(\d+)"', answer.text)] == [*range(1, len(subjects) + 1)]
    return subjects


async def test_each_line_has_its_commit_and_the_way_to_what_stood_before(forge: Forge, stock: StockRepository) -> None:
    assert await blame(forge, "plain/src/mill.py") == ["Begin <b>", "Shout", "Begin <b>"]
    text = (await forge.browser().get("/ada/engine/blame/plain/src/mill.py")).text
    [before] = re.findall(r'blame-before" href="([^"]*)"', text)
    assert before == f"/ada/engine/blame/{stock.oid('main~3')}/src/mill%20%C3%BC.py#L2"
    assert (await forge.browser().get(before)).status_code == 200
    assert {int(age) for age in re.findall(r"blame-age-(\d)", text)} <= set(range(AGES))
    assert (
        'href="/ada/engine/blame/plain/src/mill.py"'
        in (await forge.browser().get("/ada/engine/blob/plain/src/mill.py")).text
    )


async def test_commits_that_the_repository_names_are_passed_over_unless_asked(
    forge: Forge, stock: StockRepository
) -> None:
    """A commit that is not here, and what is no commit, are no matter."""
    assert await blame(forge, "main/src/mill.py") == ["Begin <b>"] * 3
    assert await blame(forge, "main/src/mill.py?ignore=0") == ["Begin <b>", "Shout", "Begin <b>"]
    text = (await forge.browser().get("/ada/engine/blame/main/src/mill.py")).text
    assert "1 commit passed over" in text
    assert "ignore=0" in text


@pytest.mark.parametrize(("address", "leads_to"), [("main/src", "tree/main/src"), ("main/x.bin", "blob/main/x.bin")])
async def test_what_has_no_lines_leads_to_its_own_page(
    forge: Forge, stock: StockRepository, address: str, leads_to: str
) -> None:
    answer = await forge.browser().get(f"/ada/engine/blame/{address}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ada/engine/{leads_to}")


async def test_an_empty_file_is_said_to_be_and_a_missing_one_is_not_found(forge: Forge, stock: StockRepository) -> None:
    assert "This file is empty" in (await forge.browser().get("/ada/engine/blame/main/empty")).text
    assert (await forge.browser().get("/ada/engine/blame/main/nothing")).status_code == 404


async def test_a_long_file_is_blamed_part_by_part_and_ends_with_a_word_if_it_takes_too_long(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.repositories.code.shown_text.LINES_PER_PART", 2)
    text = (await forge.browser().get("/ada/engine/blame/plain/src/mill.py")).text
    assert re.findall(r'<tr id="L(\d+)"', text) == ["1", "2"]
    assert "Lines 1 to 2 of 3" in text
    [before] = re.findall(r'blame-before" href="([^"]*)"', text)
    assert before.endswith("#L2")
    later = (await forge.browser().get("/ada/engine/blame/plain/src/mill.py?first=3")).text
    assert re.findall(r'<tr id="L(\d+)"', later) == ["3"]

    async def take_too_long(*_: object, **__: object) -> Blame:
        raise GitTimedOut("git blame took longer than 30 s")

    monkeypatch.setattr("cairn.repositories.code.browse.read_blame", take_too_long)
    answer = await forge.browser().get(f"/ada/engine/blame/{stock.oid('plain')}/src/mill.py?first=1")
    assert answer.status_code == 503
    assert "This takes too long" in answer.text
    assert f"/ada/engine/commits/{stock.oid('plain')}/src/mill.py" in answer.text


async def test_an_empty_line_has_something_to_be_selected(forge: Forge) -> None:
    """Without it, who copies lines from the page loses the empty ones among them."""
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"a": b"1\n\n2\n"})
    for verb in ("blob", "blame"):
        text = (await forge.browser().get(f"/ada/engine/{verb}/main/a")).text
        assert '<td class="code-text">\n</td>' in text
