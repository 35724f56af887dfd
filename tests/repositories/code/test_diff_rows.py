"""A file's lines as a page shows them: pairs, colours, marks, hidden characters, gaps."""

import html
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from cairn.git.diff import FileDiff, FileStatus, Hunk, Line, LineKind
from cairn.git.types import Oid
from cairn.repositories.code.diff_request import GapLines
from cairn.repositories.code.diff_rows import (
    SHOWN_CHARACTERS_MAX,
    Block,
    Gap,
    Moved,
    Side,
    file_rows,
    line_html,
    plain_rows,
)

KINDS = {" ": LineKind.CONTEXT, "+": LineKind.ADDED, "-": LineKind.REMOVED}


def hunk(old: int, new: int, *lines: str | bytes, heading: bytes = b"") -> Hunk:
    """Return a hunk of lines as a patch has them, numbered from these on."""
    made: list[Line] = []
    at_old, at_new = old, new
    for given_line in lines:
        text = given_line.encode() if isinstance(given_line, str) else given_line
        kind = LineKind(text[:1])
        is_old, is_new = kind is not LineKind.ADDED, kind is not LineKind.REMOVED
        made.append(Line(kind, at_old if is_old else None, at_new if is_new else None, text[1:]))
        at_old, at_new = at_old + is_old, at_new + is_new
    old_count, new_count = at_old - old, at_new - new
    return Hunk(
        old if old_count else old - 1, old_count, new if new_count else new - 1, new_count, heading, tuple(made)
    )


def file(*hunks: Hunk, status: FileStatus = FileStatus.MODIFIED, is_truncated: bool = False) -> FileDiff:
    old, new = (None if status is FileStatus.ADDED else Oid("1" * 40)), Oid("2" * 40)
    return FileDiff(status, b"a", b"a", 0o100644, 0o100644, old, new, None, 1, 1, tuple(hunks), is_truncated)


def plain(markup: Markup) -> str:
    """Return HTML as somebody reads it."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def pairs(part: Block | Gap) -> list[tuple[str | None, str | None]]:
    assert isinstance(part, Block)
    return [(plain(old.html) if old else None, plain(new.html) if new else None) for old, new in part.pairs]


def gaps(found: Sequence[Block | Gap]) -> list[GapLines | None]:
    return [part.lines for part in found if isinstance(part, Gap)]


def test_removed_lines_stand_beside_what_they_became() -> None:
    changed = hunk(4, 4, " same", "-value = take(1)", "+# Two are taken.", "+value = take(2)", " end", " end", " end")
    rows = file_rows(file(changed), "a.txt")
    blocks = [part for part in rows.parts if isinstance(part, Block)]
    assert [block.kind for block in blocks] == ["context", "change", "context"]
    assert pairs(blocks[1]) == [(None, "# Two are taken."), ("value = take(1)", "value = take(2)")]
    old, new = blocks[1].removed[0], blocks[1].added[1]
    assert (old.number, new.number) == (5, 6)
    assert "take(<mark>1</mark>)" in old.html
    assert "take(<mark>2</mark>)" in new.html
    assert pairs(blocks[0]) == [("same", "same")]


def test_what_is_hidden_between_hunks_and_around_them_is_known() -> None:
    rows = file_rows(
        file(
            hunk(10, 10, " a", " a", " a", "-b", "+c", "+c", " d", " d", " d", heading=b"def f():"),
            hunk(40, 41, " e", " e", " e", "-f", " g", " g", " g"),
        ),
        "a",
    )
    assert gaps(rows.parts) == [GapLines(1, 9, 1), GapLines(18, 40, 17), GapLines(47, None, 47)]
    first = rows.parts[0]
    assert isinstance(first, Gap)
    assert first.heading == "def f():"


def test_nothing_is_hidden_where_the_file_begins_or_ends() -> None:
    whole = hunk(1, 1, "-a", "+b", " end", " end")
    assert gaps(file_rows(file(whole), "a").parts) == []
    assert gaps(file_rows(file(hunk(1, 1, "+a", "+b"), status=FileStatus.ADDED), "a").parts) == []
    assert gaps(file_rows(file(hunk(1, 1, "-a", "+b", " c", " c", " c"), is_truncated=True), "a").parts) == []


def test_lines_that_continue_others_begin_without_a_gap() -> None:
    rows = file_rows(file(hunk(500, 500, "-a", "+b", " c")), "a", is_continued=True)
    assert gaps(rows.parts) == []


def test_a_carriage_return_on_every_line_is_told_once_and_a_single_one_where_it_is() -> None:
    windows = file_rows(file(hunk(1, 1, " a\r", "-b\r", "+c\r")), "a")
    assert windows.notes == ["Lines end in CR LF."]
    assert "CR<" not in "".join(cell.html for part in windows.parts if isinstance(part, Block) for cell in part.added)
    mixed = file_rows(file(hunk(1, 1, " a", "-b", "+b\r")), "a")
    assert mixed.notes == []
    change = mixed.parts[-1]
    assert isinstance(change, Block)
    assert '<span class="hidden-character" title="Carriage return">CR</span>' in change.added[0].html


def test_what_is_no_utf8_is_shown_as_latin_1_and_said() -> None:
    rows = file_rows(file(hunk(1, 1, b"-caf\xe9", b"+th\xe9")), "a")
    assert rows.notes == ["Not UTF-8; shown as Latin-1."]
    assert pairs(rows.parts[0]) == [("café", "thé")]


def test_text_that_reorders_itself_is_shown_by_numbers_and_warned_of() -> None:
    """Attack: CVE-2021-42574, code that reads differently from what it does."""
    rows = file_rows(file(hunk(1, 1, "-ok", "+if admin: # \u202e } \u2066 begin")), "a.py")
    assert rows.reorders_text
    change = rows.parts[-1]
    assert isinstance(change, Block)
    assert "\u202e" not in change.added[0].html
    assert 'title="Right-to-left override">U+202E<' in change.added[0].html
    assert not file_rows(file(hunk(1, 1, "-ok", "+שלום")), "a.py").reorders_text


def test_a_heading_hides_nothing_either() -> None:
    rows = file_rows(file(hunk(9, 9, "-a", "+b", heading="def \u202ef(<b>):".encode())), "a.txt")
    first = rows.parts[0]
    assert isinstance(first, Gap)
    assert plain(Markup(first.heading)) == "def U+202Ef(<b>):"
    assert "&lt;b&gt;" in first.heading


def test_of_a_long_line_the_beginning_is_shown_and_the_rest_counted() -> None:
    rows = file_rows(file(hunk(1, 1, "-a", "+" + "x" * (SHOWN_CHARACTERS_MAX + 234))), "a")
    change = rows.parts[-1]
    assert isinstance(change, Block)
    assert change.added[0].cut_characters == 234
    assert len(plain(change.added[0].html)) == SHOWN_CHARACTERS_MAX


def test_moved_lines_have_their_place_and_no_marks() -> None:
    def moved_at(side: Side, number: int) -> Moved | None:
        return Moved("b.py", 9, "#there") if (side, number) == ("old", 1) else None

    rows = file_rows(file(hunk(1, 1, "-value = take(1)", "+value = take(2)")), "a.py", moved_at=moved_at)
    change = rows.parts[-1]
    assert isinstance(change, Block)
    assert change.removed[0].moved == Moved("b.py", 9, "#there")
    assert change.added[0].moved is None
    assert "<mark>" not in change.removed[0].html


def test_a_whole_file_colours_a_hunk_inside_a_string_rightly() -> None:
    text = '"""A doc\nstring over\nseveral lines."""\n'
    inside = hunk(2, 2, "-string over", "+strings over", ' several lines."""')
    coloured = file_rows(file(inside), "a.py", whole={"old": text, "new": text.replace("string", "strings")})
    change = next(part for part in coloured.parts if isinstance(part, Block))
    assert "hl-" in change.removed[0].html
    assert plain(change.removed[0].html) == "string over"


def test_plain_rows_are_numbered_on_both_sides() -> None:
    block = plain_rows(["a", "b"], "a.txt", GapLines(7, 8, 5), whole=None)
    assert [(old and old.number, new and new.number) for old, new in block.pairs] == [(5, 7), (6, 8)]


TEXT = st.text(alphabet="ab<>&\"' \t\u202e\x00\rä", max_size=20)


@given(
    TEXT,
    st.lists(st.integers(0, 20), max_size=6),
    st.lists(st.tuples(st.sampled_from(["", "hl-k"]), st.integers(0, 9))),
)
def test_a_lines_html_says_what_the_line_says(text: str, edges: list[int], spans: list[tuple[str, int]]) -> None:
    ordered = sorted({edge for edge in edges if edge <= len(text)})
    marks = list(zip(ordered[::2], ordered[1::2], strict=False))
    found = line_html(text, spans, marks)
    shown = "".join(
        "CR" if letter == "\r" else f"U+{ord(letter):04X}" if letter in "\u202e\x00" else letter for letter in text
    )
    assert plain(found) == shown
    assert found.count("<mark>") == found.count("</mark>") == len(marks)


def test_a_line_of_very_many_colours_and_marks_costs_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a line that is all small tokens, each other one changed."""
    pieces = 0
    from cairn.repositories.code import diff_rows

    real = diff_rows._visible

    def counted(text: str) -> str:
        nonlocal pieces
        pieces += 1
        return real(text)

    monkeypatch.setattr(diff_rows, "_visible", counted)
    line_html("ab" * 500, [("hl-k", 1)] * 1000, [(at, at + 1) for at in range(0, 1000, 2)])
    assert pieces == 1000
