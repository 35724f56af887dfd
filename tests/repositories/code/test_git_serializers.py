"""Git's values as the API writes them, where the routes' tests do not go."""

from hypothesis import given
from hypothesis import strategies as st

from cairn.git.diff import FileDiff, FileStatus, Hunk, Line, LineKind
from cairn.git.types import Oid
from cairn.repositories.code.git_serializers import base64_lines, file_json
from cairn.repositories.serializers import Links

OID = Oid("1" * 40)
LINKS = Links("http://x", "http://x/api", "http://x/o/r")


@given(st.binary(max_size=500))
def test_base64_comes_in_lines_of_sixty(data: bytes) -> None:
    import base64

    coded = base64_lines(data)
    assert base64.b64decode(coded) == data
    assert all(len(line) <= 60 for line in coded.splitlines())
    assert coded == "" or coded.endswith("\n")


def test_a_missing_line_end_is_shown_in_the_patch() -> None:
    lines = (
        Line(LineKind.REMOVED, 1, None, b"a", ends_without_newline=True),
        Line(LineKind.ADDED, None, 1, "é".encode()),
    )
    file = FileDiff(
        FileStatus.MODIFIED, b"f", b"f", 0o100644, 0o100644, OID, OID, None, 1, 1, (Hunk(1, 1, 1, 1, b"def f", lines),)
    )
    assert file_json(LINKS, file, old=OID, new=OID)["patch"] == (
        "@@ -1 +1 @@ def f\n-a\n\\ No newline at end of file\n+é"
    )


def test_a_patch_that_was_cut_is_left_out_rather_than_shown_in_part() -> None:
    hunk = Hunk(1, 1, 1, 1, b"", (Line(LineKind.ADDED, None, 1, b"x"),))
    file = FileDiff(
        FileStatus.MODIFIED, b"f", b"f", 0o100644, 0o100644, OID, OID, None, 9, 0, (hunk,), is_truncated=True
    )
    assert "patch" not in file_json(LINKS, file, old=OID, new=OID)
