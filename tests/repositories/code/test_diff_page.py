"""Which of many changed files a page shows, and the pages before and after it."""

from typing import Any, cast

import pytest

from cairn.git.diff import Diff, FileDiff, FileStatus, Hunk, Line, LineKind
from cairn.git.types import Oid
from cairn.repositories.code.diff_page import diff_rows, files_changed, first_file

FILE = FileDiff(
    FileStatus.MODIFIED, b"a", b"a", 0o100644, 0o100644, Oid("1" * 40), Oid("2" * 40), None, 1, 1,
    (Hunk(1, 1, 1, 1, b"def f()", (Line(LineKind.REMOVED, 1, None, b"<x>"), Line(LineKind.ADDED, None, 1, b"y"))),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("skip", "shown", "earlier", "later"),
    [(0, 3, None, 3), (3, 3, 0, 6), (6, 2, 0, None), (350, 0, 50, None), (-5, 3, None, 3)],
)
def test_the_pages_around(skip: int, shown: int, earlier: int | None, later: int | None) -> None:
    values = files_changed(cast("Any", None), Diff((FILE,) * shown, 8, 8, 8), skip)
    assert (values["earlier_skip"], values["later_skip"]) == (earlier, later)
    assert len(values["files"]) == shown


def test_no_address_asks_for_what_cannot_be() -> None:
    assert (first_file(-1), first_file(7), first_file(10**30)) == (0, 7, 10**7)


def test_rows_are_a_heading_and_the_lines_below_it() -> None:
    assert [(row.kind, row.old, row.new, row.html) for row in diff_rows(FILE)] == [
        ("hunk", None, None, "@@ -1,1 +1,1 @@ def f()"),
        ("delete", 1, None, "<x>"),
        ("add", None, 1, "y"),
    ]
