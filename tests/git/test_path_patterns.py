"""Patterns for paths mean what git takes them for: held against stock git's own matching."""

import random

import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.factories.seeds import chosen_seed

from cairn.base import linear_regex
from cairn.git.path_patterns import PathPattern, PatternSet, matches_any

PATHS = [
    b"a.py",
    b"src/a.py",
    b"src/deep/b.py",
    b"src/deep/readme",
    b"docs/x[1].md",
    b"docs/src/y.md",
    b"b-.txt",
    b"q?",
]
PATTERNS = [
    *("*.py", "/*.py", "src", "src/", "/src/*", "src/**", "**/deep/*", "src/**/b.py", "**/*.md", "deep/b.py", "*"),
    *("docs/x[[]1].md", "[a-b].py", "[!a].py", "b[-].txt", "?.py", "q\\?", "src/*.py", "src*", "**", "a.py/", "[z-a]"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_takes_what_git_ignores_by_it(pattern: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    stock: StockRepository = init(tmp_path_factory.mktemp("stock"))
    stock.write(".gitignore", f"{pattern}\nalways\n")
    for path in PATHS:
        stock.write(path.decode(), "")
    # Git fails where it takes nothing, so it is given something.
    answer = stock.git("check-ignore", "--no-index", "-z", "--stdin", stdin=b"\0".join([*PATHS, b"always"]))
    wanted = set(answer.split(b"\0")) - {b"", b"always"}
    assert {path for path in PATHS if PathPattern(pattern.encode()).matches(path)} == wanted


def test_a_pattern_of_a_folder_begins_there() -> None:
    deeper = PathPattern(b"*.py", folder=b"src")
    assert [path for path in PATHS if deeper.matches(path)] == [b"src/a.py", b"src/deep/b.py"]
    assert PathPattern(b"a.py", folder=b"src/deep", takes_folders=False).matches(b"src/deep/a.py")
    assert not PathPattern(b"src", takes_folders=False).matches(b"src/a.py")
    assert matches_any([PathPattern(b"x"), PathPattern(b"y")], b"d/y")
    assert not matches_any([], b"d/y")


def test_a_set_matches_what_one_of_its_patterns_matches() -> None:
    rng = random.Random(chosen_seed())
    texts = [b"*.pem", b"a/**/b", b"[z-a]", b"a|b", b"[!x]/?", b"docs/", b"/a", b"\\*", b"refs/heads/*-x"]
    paths = [b"k.pem", b"a/x/y/b", b"a", b"b", b"a|b", b"y/z", b"docs/x", b"*", b"refs/heads/a-x", b"", b"\xff.pem"]
    for _ in range(50):
        patterns = [PathPattern(text) for text in rng.sample(texts, rng.randrange(len(texts)))]
        together = PatternSet(patterns)
        assert [together.matches(path) for path in paths] == [matches_any(patterns, path) for path in paths]


def test_a_set_that_is_too_large_for_one_expression_matches_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_regex, "MEMORY_BYTES", 1 << 16)
    patterns = [PathPattern(b"?" * 50 + b"%d" % number) for number in range(100)]
    together = PatternSet(patterns)
    with pytest.raises(linear_regex.RegexRefused):
        linear_regex.LinearRegex(b"|".join(pattern.expression for pattern in patterns), is_bytewise=True)
    assert together.matches(b"x" * 50 + b"99")
    assert not together.matches(b"x" * 50)
