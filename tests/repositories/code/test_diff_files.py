"""What kind of change a file is, and what is folded away."""

import pytest

from cairn.git.diff import FileDiff, FileStatus, Hunk, Line, LineKind
from cairn.git.types import Oid
from cairn.lfs.pointers import Pointer
from cairn.repositories.code.diff_files import (
    LARGE_LINES,
    describe,
    kind_of,
    lfs_pointers,
    linked_commits,
    reason_to_fold,
)
from cairn.repositories.code.diff_request import DiffRequest, file_key

ONE, TWO = Oid("1" * 40), Oid("2" * 40)
POINTER = [b"version https://git-lfs.github.com/spec/v1", b"oid sha256:" + b"a" * 64, b"size 1234"]


def file(path: bytes = b"a", *, changed: int | None = 1, modes: tuple[int, int] = (0o100644, 0o100644)) -> FileDiff:
    return FileDiff(
        FileStatus.MODIFIED, path, path, *modes, ONE, TWO, None, changed, 0 if changed is not None else None
    )


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        ((0o100644, 0o100755), "Now executable"),
        ((0o100755, 0o100644), "No longer executable"),
        ((0o100644, 0o120000), "file → symbolic link"),
        ((0o160000, 0o100755), "submodule → executable file"),
        ((0o100644, 0o100644), ""),
    ],
)
def test_a_change_of_mode_is_said_in_words(modes: tuple[int, int], said: str) -> None:
    assert describe(file(modes=modes), 0, DiffRequest(path="/"), "/a/b", ONE, TWO).mode_change == said


def test_kinds_are_told_apart() -> None:
    assert kind_of(file()) == "text"
    assert kind_of(file(changed=None)) == "binary"
    assert kind_of(file(b"x.PNG", changed=None)) == "picture"
    assert kind_of(file(b"x.png", changed=None, modes=(0o120000, 0o120000))) == "binary"
    assert kind_of(file(modes=(0o120000, 0o120000))) == "symlink"
    assert kind_of(file(modes=(0o160000, 0o160000))) == "submodule"


def test_pointers_of_git_lfs_are_read_on_both_sides() -> None:
    lines = [Line(LineKind.CONTEXT, 1, 1, POINTER[0])]
    lines += [Line(LineKind.REMOVED, 2, None, POINTER[1]), Line(LineKind.REMOVED, 3, None, POINTER[2])]
    lines += [Line(LineKind.ADDED, None, 2, b"oid sha256:" + b"b" * 64), Line(LineKind.ADDED, None, 3, b"size 5")]
    changed = FileDiff(
        FileStatus.MODIFIED,
        b"w",
        b"w",
        0o100644,
        0o100644,
        ONE,
        TWO,
        None,
        2,
        2,
        (Hunk(1, 3, 1, 3, b"", tuple(lines)),),
    )
    assert lfs_pointers(changed) == (Pointer("a" * 64, 1234), Pointer("b" * 64, 5))
    assert kind_of(changed) == "lfs"


def test_large_generated_and_vendored_files_wait() -> None:
    assert "1,001 lines" in reason_to_fold(file(changed=LARGE_LINES + 1))
    assert "generated" in reason_to_fold(file(b"yarn.lock"))
    assert "from elsewhere" in reason_to_fold(file(b"vendor/x.go"))
    assert reason_to_fold(file()) == reason_to_fold(file(b"yarn.lock", changed=None)) == ""


def test_links_lead_to_both_sides_but_never_into_a_submodule() -> None:
    request = DiffRequest(path="/a/b/commit/c")
    found = describe(file(b"d/\xff x"), 3, request, "/a/b", ONE, TWO)
    assert found.old_href == f"/a/b/blob/{ONE}/d/%FF%20x"
    assert found.new_href == f"/a/b/blob/{TWO}/d/%FF%20x"
    assert found.load_href == "/a/b/commit/c?file=" + file_key(b"d/\xff x")
    assert describe(file(), 0, request, "/a/b", None, TWO).old_href == ""
    module = describe(file(modes=(0o160000, 0o160000)), 0, request, "/a/b", ONE, TWO)
    assert (module.old_href, module.new_href) == ("", "")
    assert linked_commits(module.file) == (ONE, TWO)
