"""The lines of one changed file as a page shows them: in pairs, coloured, with the words that changed marked.

Everything here is pure and blocks: callers cross to a thread. Its cost is bounded by what is shown.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from markupsafe import Markup, escape

from cairn.git.diff import FileDiff, Hunk, Line, LineKind
from cairn.repositories.code.diff_request import GapLines
from cairn.repositories.code.diff_words import Range, changed_words, pair_lines
from cairn.web.highlight import highlight_spans

SHOWN_CHARACTERS_MAX = 1000
"""So much of a line is shown; how much more it has is said."""

CONTEXT_LINES = 3
"""Unchanged lines around a change, where the file has as many."""

COLOURED_BYTES_MAX = 32 << 10
"""Files up to this are coloured as a whole, larger ones hunk by hunk."""

Side = Literal["old", "new"]
Spans = Sequence[tuple[str, int]]
"""The colours of a line: classes, each with how many characters it covers."""

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_NO_ASCII = bytes(range(0x80, 0x100))
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a line that moved stood or stands: the file's name, the line, and a link to it."""

    name: str
    line: int
    href: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One line on one side."""

    number: int
    html: Markup
    ends_without_newline: bool = False
    cut_characters: int = 0
    moved: Moved | None = None


Pair = tuple[Cell | None, Cell | None]


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that changed together, or unchanged lines between: pairs of what stands side by side."""

    kind: Literal["change", "context"]
    pairs: tuple[Pair, ...]

    @property
    def removed(self) -> list[Cell]:
        """The lines of the old side."""
        return [old for old, _ in self.pairs if old is not None]

    @property
    def added(self) -> list[Cell]:
        """The lines of the new side."""
        return [new for _, new in self.pairs if new is not None]


class GapLink(NamedTuple):
    """A way to unfold hidden lines: its word, what it does in words, its icon, a page that shows them, and the address
    of what a script puts in the gap's place."""

    grow: str
    words: str
    icon: str
    href: str
    part: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Unchanged lines that are not shown, above the hunk that ``heading`` (its function or section) belongs to.

    ``lines`` is None where nothing can be unfolded.
    """

    kind: Literal["gap"]
    lines: GapLines | None
    heading: str
    links: tuple[GapLink, ...] = ()
    """Ways to unfold them."""


@dataclass(slots=True)
class FileRows:
    """What stands in a file's table, and what is to be said of its text."""

    parts: list[Block | Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reorders_text: bool = False
    """There are characters that make text look like another."""


class TextReader:
    """Decodes the lines of one file: UTF-8, or Latin-1 where it is not; a CR that ends every line is no content."""

    def __init__(self, contents: Iterable[bytes], cut: Iterable[bytes] = ()) -> None:
        samples = list(contents)
        # A line that was cut may end inside a character.
        beginnings = [sample.rstrip(_NO_ASCII) for sample in cut]
        self.encoding = "utf-8" if all(map(_is_utf8, (*samples, *beginnings))) else "latin-1"
        self.has_cr = bool(samples) and all(sample.endswith(b"\r") for sample in samples)

    def text(self, content: bytes) -> str:
        """Return a line as text, without the CR that every line of the file ends with."""
        text = content.decode(self.encoding, "ignore")
        return text.removesuffix("\r") if self.has_cr else text

    def notes(self) -> list[str]:
        """Return what a reader should know of the text."""
        found = []
        if self.encoding != "utf-8":
            found.append("Not UTF-8; shown as Latin-1.")
        if self.has_cr:
            found.append("Lines end in CR LF.")
        return found


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


MovedAt = Callable[[Side, int], Moved | None]


def file_rows(
    file: FileDiff,
    name: str,
    *,
    whole: Mapping[Side, str] | None = None,
    moved_at: MovedAt = lambda side, number: None,
    is_continued: bool = False,
) -> FileRows:
    """Return what a file's table shows of its hunks.

    ``whole`` has the content of both sides where it is small enough to be coloured as a whole; else each hunk is
    coloured by itself, which errs where a hunk begins inside a comment. ``is_continued``: lines before these were
    left out.
    """
    lines = [line for hunk in file.hunks for line in hunk.lines]
    reader = TextReader(
        (line.content for line in lines if not line.cut_bytes), (line.content for line in lines if line.cut_bytes)
    )
    colours = _colours(file, name, reader, whole)
    made = FileRows(notes=reader.notes())
    before: Hunk | None = None
    for index, hunk in enumerate(file.hunks):
        made.parts.append(_gap_above(hunk, before, reader, is_first=index == 0 and not is_continued))
        made.parts += _blocks(hunk, reader, colours, moved_at)
        before = hunk
    if before is not None and (gap := _gap_below(file, before)) is not None:
        made.parts.append(gap)
    made.parts = [
        part for part in made.parts if not (isinstance(part, Gap) and part.lines is None and not part.heading)
    ]
    made.reorders_text = any(_REORDERING.search(reader.text(line.content)) for line in lines)
    return made


def plain_rows(lines: Sequence[str], name: str, gap: GapLines, *, whole: str | None) -> Block:
    """Return unchanged lines that begin where a gap does; ``whole`` is the file, if small enough to be coloured."""
    spans = highlight_spans(whole if whole is not None else "\n".join(lines), name)
    first = gap.start - 1 if whole is not None else 0
    pairs: list[Pair] = []
    for index, line in enumerate(lines):
        colour = spans[first + index] if spans is not None and first + index < len(spans) else None
        html = line_html(line[:SHOWN_CHARACTERS_MAX], colour)
        cut = max(0, len(line) - SHOWN_CHARACTERS_MAX)
        cells = (Cell(number, html, cut_characters=cut) for number in (gap.old_start + index, gap.start + index))
        pairs.append((next(cells), next(cells)))
    return Block("context", tuple(pairs))


def _gap_above(hunk: Hunk, before: Hunk | None, reader: TextReader, *, is_first: bool) -> Gap:
    """Return what is hidden between the hunk before, or the file's beginning, and this one."""
    start = _after(before.new_start, before.new_count) if before is not None else 1
    old_start = _after(before.old_start, before.old_count) if before is not None else 1
    end = _after(hunk.new_start, hunk.new_count) - hunk.new_count - 1
    lines = GapLines(start, end, old_start) if end >= start and (before is not None or is_first) else None
    return Gap("gap", lines, line_html(reader.text(hunk.heading)))


def _after(start: int, count: int) -> int:
    """Return the line after a range; git names an empty one by the line before it."""
    return start + count if count else start + 1


def _gap_below(file: FileDiff, last: Hunk) -> Gap | None:
    """Return what may follow the last hunk; nothing where the file ends with it, as it does after too few lines."""
    trailing = 0
    for line in reversed(last.lines):
        if line.kind is not LineKind.CONTEXT:
            break
        trailing += 1
    ends_here = trailing < CONTEXT_LINES or any(line.ends_without_newline for line in last.lines[-trailing:])
    if ends_here or file.is_truncated or file.new_oid is None or file.old_oid is None:
        return None
    lines = GapLines(last.new_start + last.new_count, None, last.old_start + last.old_count)
    return Gap("gap", lines, "")


Colours = Mapping[tuple[Side, int], Spans]


def _colours(file: FileDiff, name: str, reader: TextReader, whole: Mapping[Side, str] | None) -> Colours:
    found: dict[tuple[Side, int], Spans] = {}
    for hunk in file.hunks:
        for side, other in (("old", LineKind.ADDED), ("new", LineKind.REMOVED)):
            numbered = [(_number(line, side), line) for line in hunk.lines if line.kind is not other]
            if whole is None:
                text = "\n".join(reader.text(line.content)[:SHOWN_CHARACTERS_MAX] for _, line in numbered)
                for (number, _), spans in zip(numbered, highlight_spans(text, name) or (), strict=False):
                    found["new" if side == "new" else "old", number] = spans
    if whole is not None:
        for side, text in whole.items():
            for index, spans in enumerate(highlight_spans(text, name) or ()):
                found[side, index + 1] = spans
    return found


def _number(line: Line, side: str) -> int:
    number = line.old_number if side == "old" else line.new_number
    assert number is not None
    return number


def _blocks(hunk: Hunk, reader: TextReader, colours: Colours, moved_at: MovedAt) -> Iterator[Block]:
    """Yield a hunk's lines: unchanged ones, and those that changed together."""
    for is_context, group in _grouped(hunk.lines):
        if is_context:
            pairs = []
            for line in group:
                cell = _cell(line, "new", reader, colours, None, None)
                old = Cell(_number(line, "old"), cell.html, cell.ends_without_newline, cell.cut_characters)
                pairs.append((old, cell))
            yield Block("context", tuple(pairs))
        else:
            removed = [line for line in group if line.kind is LineKind.REMOVED]
            added = [line for line in group if line.kind is LineKind.ADDED]
            yield Block("change", tuple(_pairs(removed, added, reader, colours, moved_at)))


def _grouped(lines: Sequence[Line]) -> Iterator[tuple[bool, Sequence[Line]]]:
    start = 0
    for at in range(1, len(lines) + 1):
        is_context = lines[start].kind is LineKind.CONTEXT
        if at == len(lines) or (lines[at].kind is LineKind.CONTEXT) != is_context:
            yield is_context, lines[start:at]
            start = at


def _pairs(
    removed: Sequence[Line], added: Sequence[Line], reader: TextReader, colours: Colours, moved_at: MovedAt
) -> Iterator[Pair]:
    """Yield removed lines beside the added ones that they became; what became nothing stands beside what is new."""
    texts_old = [reader.text(line.content)[:SHOWN_CHARACTERS_MAX] for line in removed]
    texts_new = [reader.text(line.content)[:SHOWN_CHARACTERS_MAX] for line in added]
    moved_old = [moved_at("old", _number(line, "old")) for line in removed]
    moved_new = [moved_at("new", _number(line, "new")) for line in added]

    def pair(i: int | None, j: int | None, words: tuple[list[Range], list[Range]] | None = None) -> Pair:
        old = None if i is None else _cell(removed[i], "old", reader, colours, words and words[0], moved_old[i])
        new = None if j is None else _cell(added[j], "new", reader, colours, words and words[1], moved_new[j])
        return old, new

    i = j = 0
    for at_old, at_new in [*pair_lines(texts_old, texts_new), (len(removed), len(added))]:
        for step in range(max(at_old - i, at_new - j)):
            yield pair(i + step if i + step < at_old else None, j + step if j + step < at_new else None)
        if at_old < len(removed) and at_new < len(added):
            moves = moved_old[at_old] or moved_new[at_new]
            yield pair(at_old, at_new, None if moves else changed_words(texts_old[at_old], texts_new[at_new]))
        i, j = at_old + 1, at_new + 1


def _cell(
    line: Line, side: Side, reader: TextReader, colours: Colours, marks: Sequence[Range] | None, moved: Moved | None
) -> Cell:
    text = reader.text(line.content)
    shown = text[:SHOWN_CHARACTERS_MAX]
    number = _number(line, side)
    html = line_html(shown, colours.get((side, number)), marks or ())
    return Cell(number, html, line.ends_without_newline, len(text) - len(shown) + line.cut_bytes, moved)


def line_html(text: str, spans: Spans | None = None, marks: Sequence[Range] = ()) -> Markup:
    """Return a line's HTML: colours by ``spans``, changed ranges in ``<mark>``, hidden characters by their names."""
    out: list[str] = []
    edges = [edge for mark in marks for edge in mark]
    passed = 0
    for css, start, end in _clipped(spans or (("", len(text)),), len(text)):
        at = start
        while at < end:
            while passed < len(edges) and edges[passed] <= at:
                out.append("</mark>" if passed % 2 else "<mark>")
                passed += 1
            stop = min(end, edges[passed]) if passed < len(edges) else end
            shown = _visible(text[at:stop])
            out.append(f'<span class="{css}">{shown}</span>' if css else shown)
            at = stop
    if passed % 2:
        out.append("</mark>")
    return Markup("".join(out))  # noqa: S704 (every piece is escaped by _visible)


def _clipped(spans: Spans, length: int) -> Iterator[tuple[str, int, int]]:
    """Yield the colours with their ranges, up to a line's length; what they do not cover stays plain."""
    at = 0
    for css, count in spans:
        if at >= length:
            return
        yield css, at, min(at + count, length)
        at += count
    if at < length:
        yield "", at, length


def _visible(text: str) -> str:
    if _HIDDEN.search(text) is None:
        return str(escape(text))
    out: list[str] = []
    at = 0
    for found in _HIDDEN.finditer(text):
        letter = found[0]
        name = unicodedata.name(letter, "CARRIAGE RETURN" if letter == "\r" else "CONTROL CHARACTER")
        shown = "CR" if letter == "\r" else f"U+{ord(letter):04X}"
        out.append(str(escape(text[at : found.start()])))
        out.append(f'<span class="hidden-character" title="{name.capitalize()}">{shown}</span>')
        at = found.end()
    out.append(str(escape(text[at:])))
    return "".join(out)
