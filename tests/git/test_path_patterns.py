"""Patterns for paths mean what git takes them for: held against stock git's own matching."""

import pytest
from tests.factories.git_repositories import StockRepository, init

from cairn.git.path_patterns import PathPattern, matches_any

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
