"""Finding paths by some of their letters."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.repositories.code.fuzzy import MATCHES_MAX, QUERY_CHARACTERS_MAX, find_paths, lower, normalise

PATHS = """README.md
docs/guide/mill.md
lib/user.rb
lib/user/controller.rb
lib/user/controller_test.rb
src/UserController.java
src/mill.py
src/miller/x.py
src/store.py
vendor/mill/store/index.js"""


def found(query: str, text: str = PATHS) -> list[str]:
    return [match.path for match in find_paths(text, query).matches]


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("mill.py", "src/mill.py"),
        ("MILL", "src/mill.py"),
        ("usrctl", "src/UserController.java"),
        ("lib/contr", "lib/user/controller.rb"),
        ("ucj", "src/UserController.java"),
        ("read me", "README.md"),
        ("user", "lib/user.rb"),
        ("vmi", "vendor/mill/store/index.js"),
    ],
)
def test_the_best_match_comes_first(query: str, best: str) -> None:
    assert found(query)[0] == best


def test_names_come_before_folders_and_whole_words_before_scattered_letters() -> None:
    assert found("mill") == ["src/mill.py", "docs/guide/mill.md", "src/miller/x.py", "vendor/mill/store/index.js"]


def test_letters_must_all_be_there_in_their_order() -> None:
    assert found("llim") == []
    assert found("zz") == []
    assert found("mill/store") == ["vendor/mill/store/index.js"]


def test_an_empty_query_shows_the_first_paths() -> None:
    assert found("  ") == PATHS.split("\n")
    assert found("x", "") == []
    assert (find_paths("", "").matches, find_paths("", "").total) == ([], 0)


def test_what_matched_is_marked() -> None:
    [match] = find_paths("src/mill.py", "mpy").matches
    assert match.pieces == [("src/", False), ("m", True), ("ill.", False), ("py", True)]


def test_many_matches_are_counted_and_cut() -> None:
    text = "\n".join(f"src/{number:05}.txt" for number in range(1000))
    result = find_paths(text, "txt")
    assert (len(result.matches), result.total) == (MATCHES_MAX, 1000)
    assert [match.path for match in result.matches] == text.split("\n")[:MATCHES_MAX]


@given(st.lists(st.text("aAbB/._-é", min_size=1), max_size=30, unique=True), st.text("abA/é ", max_size=4))
def test_exactly_the_paths_with_the_letters_in_order_are_found(paths: list[str], query: str) -> None:
    wanted = normalise(query)
    pattern = re.compile(".*".join(map(re.escape, wanted)), re.DOTALL)
    expected = {path for path in paths if pattern.search(lower(path))}
    assert set(found(query, "\n".join(paths))) == expected


def test_a_hostile_query_costs_no_more_than_its_length() -> None:
    """Attack: letters that nearly match everywhere made a search by regular expression take minutes."""
    text = "\n".join("a" * 4000 for _ in range(50))
    assert found("a" * (QUERY_CHARACTERS_MAX - 1) + "b", text) == []
    assert len(find_paths(text, "a" * 5000).matches) == 50
