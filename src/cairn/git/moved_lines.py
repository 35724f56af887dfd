"""Lines that a change moved: blocks that stand among the removed lines in one place and among the added in another.

Lines count as equal when they differ in white space only, so that a block keeps being one where it is indented anew. A
block wants as much to it as git's ``--color-moved`` asks for, or every closing brace would have moved.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cairn.git.diff import FileDiff, LineKind

MOVED_LINES_MAX = 50_000
"""In a change of more lines nothing is looked for."""

CHARACTERS_MIN = 20
"""A block with fewer letters and digits in it is nothing one would say was moved."""

_NO_WORD = bytes(byte for byte in range(128) if not chr(byte).isalnum())
_PLACES_TRIED = 8
"""Of a line that was removed in many places the first few are tried."""


class Move(NamedTuple):
    """Some lines that began at ``old_line`` of one file begin at ``new_line`` of another now, or of the same.

    Files are named by their place in a list, lines counted from 1.
    """

    old_file: int
    old_line: int
    new_file: int
    new_line: int
    lines: int


class _Changed(NamedTuple):
    file: int
    block: int
    number: int
    key: bytes


def find_moves(files: Sequence[FileDiff]) -> list[Move]:
    """Return the moved blocks among the hunks of these files; each line is in one of them at most. Blocks.

    The work is bounded by the number of lines: each is compared with _PLACES_TRIED others at most.
    """
    removed, added = _sides(files)
    places: dict[bytes, list[int]] = {}
    for at, line in enumerate(removed):
        if line.key:
            places.setdefault(line.key, []).append(at)
    taken: set[int] = set()
    moves: list[Move] = []
    at = 0
    while at < len(added):
        place, count = _longest(removed, added, places.get(added[at].key, ()), at, taken)
        if count and _is_telling(added[at : at + count]):
            old, new = removed[place], added[at]
            moves.append(Move(old.file, old.number, new.file, new.number, count))
            taken.update(range(place, place + count))
            at += count
        else:
            at += 1
    return moves


def _sides(files: Sequence[FileDiff]) -> tuple[list[_Changed], list[_Changed]]:
    """Return all removed and all added lines; ``block`` counts the places where lines were replaced."""
    removed: list[_Changed] = []
    added: list[_Changed] = []
    block = 0
    for index, file in enumerate(files):
        for hunk in file.hunks:
            block += 1
            for line in hunk.lines:
                key = b"".join(line.content.split())
                if line.kind is LineKind.REMOVED:
                    assert line.old_number is not None
                    removed.append(_Changed(index, block, line.old_number, key))
                elif line.kind is LineKind.ADDED:
                    assert line.new_number is not None
                    added.append(_Changed(index, block, line.new_number, key))
                else:
                    block += 1
    return removed, added


def _longest(
    removed: list[_Changed], added: list[_Changed], starts: Sequence[int], at: int, taken: set[int]
) -> tuple[int, int]:
    """Return where the longest run of removed lines like those from ``at`` on begins, and its length; 0 for none."""
    best, best_count = 0, 0
    for start in starts[:_PLACES_TRIED]:
        count = 0
        while (
            start + count < len(removed)
            and at + count < len(added)
            and start + count not in taken
            and _continues(removed, start, count)
            and _continues(added, at, count)
            and removed[start + count].key == added[at + count].key
            # A line replaced by itself, differently indented, stayed where it was.
            and removed[start + count].block != added[at + count].block
        ):
            count += 1
        if count > best_count:
            best, best_count = start, count
    return best, best_count


def _continues(lines: list[_Changed], start: int, count: int) -> bool:
    first, line = lines[start], lines[start + count]
    return line.file == first.file and line.number == first.number + count


def _is_telling(lines: Iterable[_Changed]) -> bool:
    return sum(len(line.key.translate(None, _NO_WORD)) for line in lines) >= CHARACTERS_MIN
