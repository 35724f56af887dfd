"""A file's bytes as the text of an editor, and back: what nobody touched stays as it was, byte by byte.

A form's text field knows one kind of line end and no byte order mark, so what a file has of these is put back when it
is written. A file that would not come back the same is refused with the reason, before anybody types.
"""

import codecs
import re
from dataclasses import dataclass, replace

import pygit2

from cairn.base.errors import FieldProblem, Invalid
from cairn.web.text_files import CARRIAGE_RETURN, ENCODINGS, LineEnds, read_text

EDITABLE_BYTES_MAX = 1 << 20
"""Larger files are changed with git."""

_MARKS = {"UTF-8": codecs.BOM_UTF8, "UTF-16LE": codecs.BOM_UTF16_LE, "UTF-16BE": codecs.BOM_UTF16_BE}
_PLAIN = "UTF-8"
_LINE_END = re.compile(r"\r?\n")


class NotEditable(Invalid):
    """A file that no text field can hold; the message says why."""


class TextUnwritable(Invalid):
    """A text has characters that its file's encoding has not."""


@dataclass(frozen=True, slots=True)
class EditableText:
    """A text with ``\\n`` line ends, and what its file has besides.

    ``is_assumed``: the encoding is a guess. ``original`` is the file as it was, empty for a new one.
    """

    text: str = ""
    encoding: str = _PLAIN
    is_assumed: bool = False
    has_mark: bool = False
    line_ends: LineEnds = "LF"
    shows_returns: bool = False
    """Carriage returns that end no line stand in the text as CARRIAGE_RETURN."""
    original: bytes = b""

    @property
    def facts(self) -> list[str]:
        """What a person should know of the file besides its text."""
        found = []
        if self.is_assumed:
            found.append(f"not UTF-8, read as {self.encoding}")
        elif self.encoding != _PLAIN:
            found.append(self.encoding)
        if self.has_mark and self.encoding == _PLAIN:
            found.append("byte order mark")
        if self.line_ends != "LF":
            found.append("mixed line ends" if self.line_ends == "mixed" else f"{self.line_ends} line ends")
        return found

    def as_utf8(self) -> "EditableText":
        """Return the same text, to be written as UTF-8 without a mark."""
        return replace(self, encoding=_PLAIN, is_assumed=False, has_mark=False)

    def bytes_of(self, text: str) -> bytes:
        """Return the file with another text: its encoding, mark and line ends, also of each line that stays.

        Errors: TextUnwritable. Takes milliseconds for a MiB; call it in a thread.
        """
        mark = _MARKS[self.encoding] if self.has_mark else b""
        whole = self._with_line_ends(text)
        try:
            return mark + whole.encode(ENCODINGS[self.encoding])
        except UnicodeEncodeError as error:
            message = f"{whole[error.start]!r} does not exist in {self.encoding}, the encoding of this file."
            raise TextUnwritable(message, FieldProblem("content", "invalid", message)) from None

    def _with_line_ends(self, text: str) -> str:
        if self.line_ends == "mixed":
            text = _with_kept_ends(self.text, _LINE_END.findall(_decode(self.original, self.encoding)), text)
        elif self.line_ends != "LF":
            text = text.replace("\n", "\r\n" if self.line_ends == "CRLF" else "\r")
        return text.replace(CARRIAGE_RETURN, "\r") if self.shows_returns else text


def open_text(data: bytes, *, encoding: str = "") -> EditableText:
    """Return a file's text; NotEditable for what would not be the same again when it is written unchanged.

    ``encoding`` is a name of ENCODINGS that somebody chose. Takes milliseconds for a MiB; call it in a thread.
    """
    if len(data) > EDITABLE_BYTES_MAX:
        raise NotEditable(
            f"It has {len(data):,} bytes, more than the {EDITABLE_BYTES_MAX:,} that can be edited here. "
            "Clone the repository and push your change."
        )
    read = read_text(data, encoding=encoding)
    if read is None or "\0" in read.text:
        raise NotEditable("It is a binary file, not text. Upload another one in its place, or clone and push.")
    shows_returns = CARRIAGE_RETURN in read.text and CARRIAGE_RETURN not in _decode(data, read.encoding)
    facts = (read.text, read.encoding, read.is_assumed, read.has_mark, read.line_ends, shows_returns, data)
    found = EditableText(*facts)
    if _rewritten(found) != data:
        raise NotEditable(
            f"Read as {found.encoding}, not all of its bytes are text, so some that you did not touch would change. "
            "Clone the repository and push your change."
        )
    return found


def _decode(data: bytes, encoding: str) -> str:
    return data.decode(ENCODINGS[encoding], "replace").removeprefix("\ufeff")


def _rewritten(found: EditableText) -> bytes | None:
    try:
        return found.bytes_of(found.text)
    except TextUnwritable:
        return None


def _with_kept_ends(old: str, ends: list[str], new: str) -> str:
    """Return a text whose lines have the ends that they had in the old one; new lines end like the one before them."""
    lines = new.split("\n")
    kept = _kept_lines(old, new)
    end = ends[0]
    for number in range(len(lines) - 1):
        before = kept.get(number, len(ends))
        end = ends[before] if before < len(ends) else end
        lines[number] += end
    return "".join(lines)


def _kept_lines(old: str, new: str) -> dict[int, int]:
    """Return for each line of ``new`` that was in ``old`` its number there, both from 0."""
    patch = pygit2.Patch.create_from(old.encode(), new.encode(), context_lines=0)
    kept: dict[int, int] = {}
    at_old = at_new = 0
    for hunk in patch.hunks if patch is not None else ():
        # Git names an empty range by the line before it.
        start = hunk.new_start - 1 if hunk.new_lines else hunk.new_start
        kept |= {at_new + step: at_old + step for step in range(start - at_new)}
        at_old += start - at_new + hunk.old_lines
        at_new = start + hunk.new_lines
    kept |= {at_new + step: at_old + step for step in range(new.count("\n") + 1 - at_new)}
    return kept
