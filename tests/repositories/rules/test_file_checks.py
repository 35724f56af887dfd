"""Rules about files, file by file."""

import pytest

from cairn.git.types import Oid
from cairn.repositories.rules.file_checks import file_problems
from cairn.repositories.rules.new_commits import ChangedFile
from cairn.repositories.rules.types import (
    ExtensionsParameters,
    FileExtensions,
    FilePathLength,
    FilePaths,
    FileSize,
    FileSizeParameters,
    PathLengthParameters,
    PathsParameters,
)

COMMIT, BLOB = Oid("c" * 40), Oid("b" * 40)
RULES = {
    "path": FilePaths(PathsParameters(("*.pem", "/vendor/", "docs/**/x"))),
    "length": FilePathLength(PathLengthParameters(10)),
    "extension": FileExtensions(ExtensionsParameters(("*.exe", "tar.gz"))),
    "size": FileSize(FileSizeParameters(1)),
}


@pytest.mark.parametrize(
    ("rule", "path", "size", "is_refused"),
    [
        ("path", b"a/b/key.pem", 1, True),
        ("path", b"vendor/deep/file", 1, True),
        ("path", b"src/vendor/file", 1, False),
        ("path", b"docs/a/b/x", 1, True),
        ("path", b"key.PEM", 1, False),
        ("length", b"1234567890", 1, False),
        ("length", "123456789é".encode(), 1, True),
        ("extension", b"a/setup.Exe", 1, True),
        ("extension", b"setup.exe.txt", 1, False),
        ("extension", b"a.tar.gz", 1, True),
        ("extension", b"exe", 1, False),
        ("extension", b"\xff.EXE", 1, True),
        ("size", b"a", 1 << 20, False),
        ("size", b"a", (1 << 20) + 1, True),
    ],
)
def test_a_file_is_as_the_rule_says_or_named_with_its_commit(
    rule: str, path: bytes, size: int, is_refused: bool
) -> None:
    found = list(file_problems(RULES[rule], [ChangedFile(COMMIT, path, BLOB)], {BLOB: size}))  # type: ignore[arg-type]
    assert bool(found) is is_refused
    assert all("in commit cccccccccc" in problem for problem in found)


def test_a_submodule_has_a_path_and_no_size() -> None:
    module = ChangedFile(COMMIT, b"vendor/x", None)
    assert list(file_problems(FileSize(FileSizeParameters(1)), [module], {})) == []
    assert len(list(file_problems(FilePaths(PathsParameters(("vendor/",))), [module], {}))) == 1


def test_a_long_path_is_cut_in_the_middle() -> None:
    [said] = file_problems(
        FilePathLength(PathLengthParameters(10)), [ChangedFile(COMMIT, b"a" * 5000, BLOB)], {BLOB: 1}
    )
    assert len(said) < 300
