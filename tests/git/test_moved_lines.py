"""Which lines a change moved, and which it only replaced."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.git import moved_lines
from cairn.git.diff import FileDiff, FileStatus, Hunk, Line, LineKind
from cairn.git.moved_lines import Move, find_moves
from cairn.git.types import Oid

BODY = ["def carry(wheel, teeth):", "    for tooth in teeth:", "        wheel.turn(tooth)", "", "    return wheel"]


def hunk(start: int, removed: Sequence[str] = (), added: Sequence[str] = ()) -> Hunk:
    """Lines from ``start`` on, on both sides, removed and put in their place."""
    lines = [Line(LineKind.REMOVED, start + at, None, text.encode()) for at, text in enumerate(removed)]
    lines += [Line(LineKind.ADDED, None, start + at, text.encode()) for at, text in enumerate(added)]
    return Hunk(start, len(removed), start, len(added), b"", tuple(lines))


def file(*hunks: Hunk) -> FileDiff:
    return FileDiff(
        FileStatus.MODIFIED, b"a", b"a", 0o100644, 0o100644, Oid("1" * 40), Oid("2" * 40), None, 1, 1, tuple(hunks)
    )


def test_a_block_that_moved_to_another_file_is_found_whole() -> None:
    found = find_moves([file(hunk(10, removed=["other = 1", *BODY])), file(hunk(3, added=[*BODY, "new = 2"]))])
    assert found == [Move(0, 11, 1, 3, 5)]


def test_a_block_that_moved_within_a_file_and_was_indented_anew_is_found() -> None:
    indented = [f"    {line}" if line else "" for line in BODY]
    assert find_moves([file(hunk(1, removed=BODY), hunk(50, added=indented))]) == [Move(0, 1, 0, 50, 5)]


def test_what_was_only_indented_where_it_stands_did_not_move() -> None:
    indented = [f"    {line}" for line in BODY]
    assert find_moves([file(hunk(1, removed=BODY, added=indented))]) == []


def test_closing_braces_do_not_move() -> None:
    assert find_moves([file(hunk(1, removed=["}", "", "  )"])), file(hunk(1, added=["}", "", ")"]))]) == []


def test_each_removed_line_moves_to_one_place() -> None:
    found = find_moves([file(hunk(1, removed=BODY)), file(hunk(1, added=BODY), hunk(40, added=BODY))])
    assert found == [Move(0, 1, 1, 1, 5)]


def test_the_longest_of_several_places_is_taken() -> None:
    found = find_moves([file(hunk(1, removed=BODY[:3]), hunk(20, removed=BODY)), file(hunk(7, added=BODY))])
    assert found == [Move(0, 20, 1, 7, 5)]


LINES = st.lists(st.sampled_from([*BODY, "}", "value = compute(one, another)"]), max_size=12)


@given(st.lists(st.tuples(LINES, LINES), max_size=4))
def test_moved_lines_are_equal_but_for_white_space_and_none_moves_twice(
    pairs: list[tuple[list[str], list[str]]],
) -> None:
    files = [file(hunk(1, removed=removed, added=added)) for removed, added in pairs]
    old_seen: set[tuple[int, int]] = set()
    new_seen: set[tuple[int, int]] = set()
    for move in find_moves(files):
        for step in range(move.lines):
            old, new = (move.old_file, move.old_line + step), (move.new_file, move.new_line + step)
            assert old not in old_seen
            assert new not in new_seen
            old_seen.add(old)
            new_seen.add(new)
            assert pairs[old[0]][0][old[1] - 1].split() == pairs[new[0]][1][new[1] - 1].split()


def test_the_work_grows_with_the_lines_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a file of one line ten thousand times, taken out here and put in there, in another rhythm."""
    line = "the same line of some length again"
    removed = [line if at % 97 else f"only here {at}" for at in range(10_000)]
    added = [line if at % 89 else f"only there {at}" for at in range(10_000)]
    steps = 0
    real = moved_lines._continues

    def counted(lines: Any, start: int, count: int) -> bool:
        nonlocal steps
        steps += 1
        return real(lines, start, count)

    monkeypatch.setattr(moved_lines, "_continues", counted)
    assert find_moves([file(hunk(1, removed=removed)), file(hunk(1, added=added))])
    assert steps < 10 * 2 * (len(removed) + len(added))
