"""Queries for code, read and narrowed; answers kept for the next who asks the same."""

import pytest
from tests.factories.forge import Forge

from cairn.git.file_list import FileInTree
from cairn.repositories.code import code_search
from cairn.repositories.code.code_search import (
    CodeQuery,
    QueryRefused,
    narrow,
    page_of,
    read_api_query,
    read_query,
    search_code,
)
from cairn.repositories.code.revisions import default_revision


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("a b", CodeQuery(text="a b")),
        ('"a  b"', CodeQuery(text="a  b")),
        ("/a+ b/", CodeQuery(text="a+ b", is_regex=True)),
        ("/usr/bin", CodeQuery(text="/usr/bin")),
        ("/", CodeQuery(text="/")),
        (
            "a path:src -path:x language:py",
            CodeQuery(text="a", paths=("src",), other_paths=("x",), languages=("Python",)),
        ),
        ("-lang:c++ in:path b", CodeQuery(text="b", other_languages=("C++",), in_contents=False)),
        ("in:file,path a", CodeQuery(text="a")),
    ],
)
def test_what_is_typed_is_understood(typed: str, query: CodeQuery) -> None:
    assert read_query(typed) == query


def test_the_switch_takes_slashes_and_quotes_as_they_are() -> None:
    assert read_query('"a" path:x', is_regex=True) == CodeQuery(text='"a"', is_regex=True, paths=("x",))
    assert read_query("/a/", is_regex=True).text == "/a/"


def test_githubs_words_become_ours() -> None:
    assert read_api_query('a "b c" repo:O/R repo:o/r extension:.py -filename:x.py in:path') == (
        ["o/r"],
        CodeQuery(text='a "b c"', paths=("*.py",), other_paths=("**/x.py",), in_contents=False),
    )
    assert read_api_query("a repo:o/r")[1] == CodeQuery(text="a", in_names=False)
    for typed in ("a user:o", "a -repo:o/r", "a size:>3"):
        with pytest.raises(QueryRefused):
            read_api_query(typed)


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("x", ["Makefile", "a.py", "src/b.py", "src/c.txt", "src/py/d.js"]),
        ("x path:src", ["src/b.py", "src/c.txt", "src/py/d.js"]),
        ("x path:src/*.py", ["src/b.py"]),
        ("x path:*.py path:Makefile", ["Makefile", "a.py", "src/b.py"]),
        ("x -path:src", ["Makefile", "a.py"]),
        ("x path:py", []),
        ("x language:python -path:/a.py", ["src/b.py"]),
        ("x language:make language:js", ["Makefile", "src/py/d.js"]),
        ("x -language:python -language:text", ["Makefile", "src/py/d.js"]),
    ],
)
def test_filters_leave_what_they_say(typed: str, left: list[str]) -> None:
    names = ("Makefile", "a.py", "src/b.py", "src/c.txt", "src/py/d.js")
    files = [FileInTree(name.encode(), "1" * 40, 1) for name in names]
    assert [file.path.decode() for file in narrow(files, read_query(typed))] == left


async def test_a_whole_answer_is_kept_and_paged(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={f"stone{number}": b"stone" for number in range(5)})
    state = await forge.engine.state(made.store_id)
    revision = await default_revision(forge.engine, state)
    assert revision is not None

    async def search(text: str) -> code_search.FoundCode:
        query = read_query(text)
        return await search_code(forge.engine, state, revision.commit_oid, query, deadline_seconds=60)

    found = await search("stone")
    assert found.is_complete
    assert [name.pieces for name in found.names][:2] == [["", "stone", "0"], ["", "stone", "1"]]
    pages = [page_of(found, page=page, per_page=2) for page in (1, 2, 3, 4)]
    assert [(len(files), has_more) for files, has_more in pages] == [(2, True), (2, True), (1, False), (0, False)]

    async def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("it is kept")

    monkeypatch.setattr(code_search, "search_files", never)
    assert await search("stone") == found
