"""The lines of a text as a page shows them: coloured once for each blob, part by part where there are many."""

import asyncio
from dataclasses import dataclass

from markupsafe import Markup, escape

from cairn.git.types import show
from cairn.repositories.code.browse import Code
from cairn.web.highlight import LINE_BYTES_MAX, highlight_text, highlighter_version, language_of
from cairn.web.text_files import TextFile

LINES_PER_PART = 5000
PART_CHARACTERS_MAX = 512 << 10
"""A page shows this many lines and characters at most; the rest has pages of its own."""


def line_address(number: int) -> str:
    """Return what follows a text's address to lead to one of its lines: in a part of its own if it is far down."""
    first = (number - 1) // LINES_PER_PART * LINES_PER_PART + 1
    return f"#L{number}" if first == 1 else f"?first={first}#L{number}"


@dataclass(frozen=True, slots=True)
class TextPart:
    """Lines ``first`` to ``last`` of ``total``, counted from 1; ``cut_count`` of them are shown only in part."""

    lines: list[Markup]
    first: int
    total: int
    cut_count: int
    language: str

    @property
    def last(self) -> int:
        """The number of the last line of the part."""
        return self.first + len(self.lines) - 1

    @property
    def is_whole(self) -> bool:
        """True if this is all there is."""
        return len(self.lines) == self.total

    @property
    def earlier(self) -> int:
        """Where the part before begins; 0 for none."""
        return max(1, self.first - LINES_PER_PART) if self.first > 1 else 0

    @property
    def later(self) -> int:
        """Where the part after begins; 0 for none."""
        return self.last + 1 if self.last < self.total else 0


async def read_part(code: Code, oid: str, name: bytes, text: TextFile, *, first: int = 1) -> TextPart:
    """Return the part of a text that begins at line ``first``; out of range means the first or the last line.

    ``oid`` names the text's bytes: a blob's id, or the SHA-256 of a large file.
    """
    lines = await asyncio.to_thread(lambda: text.lines)
    first = max(1, min(first, len(lines) or 1))
    count = _count(lines, first - 1)
    language = await asyncio.to_thread(language_of, text.text, show(name))
    if language:
        coloured = await _coloured(code, oid, name, text, language)
        return TextPart(coloured[first - 1 : first - 1 + count], first, len(lines), 0, language)
    shown = lines[first - 1 : first - 1 + count]
    cut = sum(len(line) > LINE_BYTES_MAX for line in shown)
    return TextPart([_plain(line) for line in shown], first, len(lines), cut, "")


async def _coloured(code: Code, oid: str, name: bytes, text: TextFile, language: str) -> list[Markup]:
    """Return the HTML of every line: found where the blob was coloured before, else made in a thread and kept."""

    async def make() -> bytes:
        return await asyncio.to_thread(lambda: "\n".join(highlight_text(text.text, show(name))).encode())

    kept = await code.keep(make, "highlight", highlighter_version(), language, text.encoding, oid)
    return [Markup(line) for line in kept.decode().split("\n")]  # noqa: S704 (highlight_text escaped it)


def _count(lines: list[str], start: int) -> int:
    """Return how many lines from the one after ``start`` on fit a part; one at least, if there is one."""
    characters = 0
    for count, line in enumerate(lines[start : start + LINES_PER_PART]):
        characters += min(len(line), LINE_BYTES_MAX)
        if characters > PART_CHARACTERS_MAX and count:
            return count
    return min(LINES_PER_PART, len(lines) - start)


def _plain(line: str) -> Markup:
    if len(line) <= LINE_BYTES_MAX:
        return escape(line)
    more = len(line) - LINE_BYTES_MAX
    return Markup('{}<span class="code-cut">… {:,} more characters</span>').format(line[:LINE_BYTES_MAX], more)
