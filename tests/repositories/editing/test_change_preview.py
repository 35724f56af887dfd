"""What a text would change is shown as git would show it."""

from markupsafe import Markup

from cairn.repositories.code.diff_rows import Block
from cairn.repositories.editing.change_preview import ChangePreview, preview_change


def lines(found: ChangePreview, sign: str) -> list[str]:
    """Return the added or removed lines as text."""
    blocks = [part for part in found.rows.parts if isinstance(part, Block) and part.kind == "change"]
    side = 1 if sign == "+" else 0
    cells = [pair[side] for block in blocks for pair in block.pairs]
    return [Markup(cell.html).striptags() for cell in cells if cell is not None]


def test_a_change_has_its_lines_with_those_around_it() -> None:
    old = b"".join(b"line %d\n" % number for number in range(40))
    found = preview_change(b"a/notes.txt", old, old.replace(b"line 20\n", b"line twenty\nand more\n"))
    assert lines(found, "+") == ["line twenty", "and more"]
    assert lines(found, "-") == ["line 20"]
    assert (found.additions, found.deletions, found.is_cut) == (2, 1, False)
    numbers = [pair[1].number for part in found.rows.parts if isinstance(part, Block) for pair in part.pairs if pair[1]]
    assert numbers == [18, 19, 20, 21, 22, 23, 24, 25]


def test_a_new_file_is_all_new_and_the_same_text_is_no_change() -> None:
    found = preview_change(b"a.py", None, b"x = 1\ny = 2")
    assert lines(found, "+") == ["x = 1", "y = 2"]
    cells = [pair[1] for part in found.rows.parts if isinstance(part, Block) for pair in part.pairs]
    assert [cell.ends_without_newline for cell in cells if cell] == [False, True]
    assert preview_change(b"a.py", b"x\n", b"x\n").rows.parts == []


def test_a_line_end_that_comes_is_a_change() -> None:
    found = preview_change(b"a.py", b"x", b"x\n")
    assert (found.additions, found.deletions) == (1, 1)


def test_a_large_change_is_cut() -> None:
    old = b"".join(b"%d\n" % number for number in range(30_000))
    new = old.replace(b"0\n", b"0!\n")
    assert preview_change(b"n.txt", old, new).is_cut
