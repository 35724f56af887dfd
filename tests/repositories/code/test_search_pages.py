"""Searching a repository's files by page: what is found, how it is narrowed, what is refused, who may."""

import html
import re

import pytest
from tests.factories.forge import Forge

from cairn.access.roles import Visibility
from cairn.git import blob_search

FILES = {
    "src/mill.py": b"import store\n\n\ndef grind(corn):\n    return store.keep(corn)\n\n\nprint(grind('<b>'))\n",
    "src/store.py": b"def keep(corn):\n    return [corn]\n",
    "web/mill.js": b"function grind(corn) { return corn }\n",
    "docs/grind.md": b"# How to Grind\n",
    "latin.txt": "M\u00fchle".encode("latin-1"),
    "wide.txt": "\ufeffM\u00fchle".encode("utf-16-le"),
    "x.bin": b"\0grind",
    "long.min.js": b"x" * 5000 + b"grind" + b"y" * 5000,
}


async def found(forge: Forge, query: str, *, name: str = "engine", status: int = 200) -> dict[str, list[str]]:
    """Return the lines with a match of each file that the page shows, with marks as brackets."""
    answer = await forge.browser().get(f"/ada/{name}/search?{query}")
    assert answer.status_code == status, answer.text
    files = {}
    for path, body in re.findall(r'found-file" aria-label="([^"]*)">(.*?)</section>', answer.text, re.DOTALL):
        lines = re.findall(r'<tr class="found-line">.*?<td class="code-text">(.*?)</td>', body, re.DOTALL)
        files[html.unescape(path)] = [
            html.unescape(line.replace("<mark>", "[").replace("</mark>", "]")) for line in lines
        ]
    return files


@pytest.fixture
async def engine_repository(forge: Forge) -> Forge:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files=FILES)
    return forge


async def test_text_is_found_in_any_case_with_its_line_marked_and_escaped(engine_repository: Forge) -> None:
    assert await found(engine_repository, "q=grind") == {
        "docs/grind.md": ["# How to [Grind]"],
        "long.min.js": ["x" * 80 + "[grind]" + "y" * 235],
        "src/mill.py": ["def [grind](corn):", "print([grind]('<b>'))"],
        "web/mill.js": ["function [grind](corn) { return corn }"],
    }
    assert list(await found(engine_repository, "q=Grind&case=1")) == ["docs/grind.md"]
    text = (await engine_repository.browser().get("/ada/engine/search?q=grind")).text
    assert 'href="/ada/engine/blob/main/src/mill.py#L4"' in text
    assert "<b>" not in text.replace("&lt;b&gt;", "")
    assert "docs/<mark>grind</mark>.md" in text


@pytest.mark.parametrize(
    ("query", "files"),
    [
        ("q=grind+path:src/**", ["src/mill.py"]),
        ("q=grind+path:src", ["src/mill.py"]),
        ("q=grind+-path:*.js+-path:docs/", ["src/mill.py"]),
        ("q=grind+language:js", ["long.min.js", "web/mill.js"]),
        ("q=grind+-language:JavaScript+-lang:md", ["src/mill.py"]),
        ("q=grind+in:path", []),
        ("q=/def+(grind|keep)\\(/", ["src/mill.py", "src/store.py"]),
        ("q=^def+\\w%2B\\(corn\\):$&regex=1", ["src/mill.py", "src/store.py"]),
        ("q=%22path:src%22", []),
        ("q=M%C3%BChle", ["latin.txt", "wide.txt"]),
        ("q=M%C3%9CHLE", ["latin.txt", "wide.txt"]),
        ("q=nowhere+at+all", []),
    ],
)
async def test_what_is_asked_for_is_what_is_found(engine_repository: Forge, query: str, files: list[str]) -> None:
    assert sorted(await found(engine_repository, query)) == files


async def test_any_revision_can_be_searched(engine_repository: Forge) -> None:
    ada = engine_repository.people["ada"]
    repository = await engine_repository.repository(ada, "other", files={"a": b"one"})
    first = await engine_repository.commit(ada, repository, {"a": b"two"}, branch=b"refs/heads/next/thing")
    assert list(await found(engine_repository, "q=two", name="other")) == []
    assert list(await found(engine_repository, "q=two&ref=next/thing", name="other")) == ["a"]
    assert list(await found(engine_repository, f"q=two&ref={first}", name="other")) == ["a"]
    answer = await engine_repository.browser().get("/ada/other/search?q=two&ref=nothing")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=/(a/", "regular expression"),
        ("q=/a*/", "where nothing is"),
        ("q=/(a)%5C1/", "regular expression"),
        ("q=a+language:klingon", "No language is called"),
        ("q=a+in:heaven", "in: takes"),
        ("q=path:src", "Search for 1 to"),
        ("q=" + "a" * 1001, "at most 1,000 characters"),
        ("q=a" + "+path:x" * 21, "at most 20 filters"),
    ],
)
async def test_what_cannot_be_searched_for_is_said(engine_repository: Forge, query: str, said: str) -> None:
    answer = await engine_repository.browser().get(f"/ada/engine/search?{query}")
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)


async def test_results_come_in_pages_by_file(engine_repository: Forge) -> None:
    ada = engine_repository.people["ada"]
    files = {f"f{number:02}": b"stone\n" for number in range(45)}
    await engine_repository.repository(ada, "many", files=files)
    pages = [list(await found(engine_repository, f"q=stone&page={page}", name="many")) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [20, 20, 5, 0]
    assert [path for page in pages for path in page] == sorted(files)
    text = (await engine_repository.browser().get("/ada/many/search?q=stone")).text
    assert "<strong>45 matches</strong> in 45 files" in text


async def test_a_search_that_takes_too_long_says_how_far_it_came(
    engine_repository: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*args: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(blob_search, "_feed", never)
    text = (await engine_repository.browser().get("/ada/engine/search?q=corn")).text
    assert "Stopped after 10 s: 0 of 8 files are searched" in text
    monkeypatch.undo()
    # It was not kept: the next one goes on to the end.
    assert "src/store.py" in await found(engine_repository, "q=corn")


async def test_an_empty_repository_and_an_empty_query_are_met_with_words(engine_repository: Forge) -> None:
    await engine_repository.repository(engine_repository.people["ada"], "empty")
    assert "Nothing to search yet" in (await engine_repository.browser().get("/ada/empty/search?q=x")).text
    assert "Search the files of this repository" in (await engine_repository.browser().get("/ada/engine/search")).text


async def test_who_may_not_read_a_repository_may_not_search_it(engine_repository: Forge) -> None:
    ada, ben = engine_repository.people["ada"], await engine_repository.person("ben")
    await engine_repository.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"stone"})
    for asker, status in ((None, 404), (ben, 404), (ada, 200)):
        answer = await engine_repository.browser(asker).get("/ada/secret/search?q=stone")
        assert answer.status_code == status
