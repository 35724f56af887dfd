"""A file's bytes as text for people: in which encoding, assumed or said, with which line ends."""

import codecs
from dataclasses import dataclass
from typing import Literal

BINARY_PROBE_BYTES = 8000
"""So far git looks for NUL to tell binary from text."""

LineEnds = Literal["LF", "CRLF", "CR", "mixed"]

ENCODINGS = {
    "UTF-8": "utf-8",
    "UTF-16LE": "utf-16-le",
    "UTF-16BE": "utf-16-be",
    "Windows-1250": "cp1250",
    "Windows-1251": "cp1251",
    "Windows-1252": "cp1252",
    "ISO-8859-15": "iso-8859-15",
    "KOI8-R": "koi8-r",
    "Shift_JIS": "cp932",
    "EUC-JP": "euc-jp",
    "GB18030": "gb18030",
    "Big5": "big5",
    "EUC-KR": "cp949",
}
"""What a reader may choose, by the names people know."""

FALLBACK = "Windows-1252"
_MARKS = ((codecs.BOM_UTF8, "UTF-8"), (codecs.BOM_UTF16_LE, "UTF-16LE"), (codecs.BOM_UTF16_BE, "UTF-16BE"))
CARRIAGE_RETURN = "\u240d"
"""What stands for one that ends no line."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """Text with ``\\n`` line ends and without its byte order mark, and what was said or assumed to get it.

    ``line_ends`` is what the file has; LF also for one without any. ``is_assumed`` tells that the encoding is a guess.
    """

    text: str
    encoding: str
    is_assumed: bool
    has_mark: bool
    line_ends: LineEnds

    @property
    def lines(self) -> list[str]:
        """The lines without their ends; an end of line after the last begins no further one."""
        return split_lines(self.text)


def split_lines(text: str) -> list[str]:
    """Return the lines of a text whose ends are ``\\n``; none for an empty text."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def read_text(content: bytes, *, encoding: str = "") -> TextFile | None:
    """Return a file's text, None for a binary file; bytes that its encoding does not explain are replaced.

    ``encoding`` is a name of ENCODINGS that a reader chose; by default a byte order mark decides, then whether it is
    UTF-8, and what is neither is taken for FALLBACK.
    """
    mark, marked = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", ""))
    if not marked and b"\0" in content[:BINARY_PROBE_BYTES]:
        return None
    chosen = encoding if encoding in ENCODINGS else marked or ("UTF-8" if _is_utf8(content) else FALLBACK)
    text = content.decode(ENCODINGS[chosen], "replace").removeprefix("\ufeff")
    is_assumed = not marked and chosen == FALLBACK and encoding != FALLBACK
    even, ends = _even(text)
    return TextFile(even, chosen, is_assumed, bool(mark), ends)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _even(text: str) -> tuple[str, LineEnds]:
    """Return a text with its line ends made ``\\n``, and what they were.

    Lines are what git counts as lines: beside line feeds, a lone carriage return ends none and is shown.
    """
    if "\r" not in text:
        return text, "LF"
    if "\n" not in text:
        return text.replace("\r", "\n"), "CR"
    pairs = text.count("\r\n")
    ends: LineEnds = "LF" if not pairs else "CRLF" if pairs == text.count("\n") else "mixed"
    return text.replace("\r\n", "\n").replace("\r", CARRIAGE_RETURN), ends
