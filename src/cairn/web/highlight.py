"""Source text to highlighted HTML lines. Pygments is loaded on first use, one lexer at a time."""

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from pygments.lexer import Lexer

HIGHLIGHT_BYTES_MAX = 512 << 10
"""Larger text is shown plain: highlighting it would take longer than a reader waits."""
LINE_BYTES_MAX = 20_000
"""One line longer than this (minified code) makes lexers slow: the text is shown plain."""

_NO_LANGUAGE = "Text only"
_PATIENCE_SECONDS = 4
_VERSION = 1
"""To be raised with every change here that makes other HTML of the same text."""

# Our own few classes, by the longest matching prefix of the token's name; what is missing stays plain text.
_CLASSES = {
    "Comment": "hl-c",
    "Comment.Preproc": "hl-m",
    "Keyword": "hl-k",
    "Keyword.Constant": "hl-n",
    "Keyword.Type": "hl-t",
    "Operator.Word": "hl-k",
    "Name.Builtin": "hl-b",
    "Name.Class": "hl-t",
    "Name.Constant": "hl-n",
    "Name.Decorator": "hl-m",
    "Name.Exception": "hl-t",
    "Name.Function": "hl-f",
    "Name.Namespace": "hl-t",
    "Name.Tag": "hl-k",
    "Name.Attribute": "hl-f",
    "Name.Variable": "hl-v",
    "Literal.String": "hl-s",
    "Literal.String.Doc": "hl-c",
    "Literal.String.Escape": "hl-m",
    "Literal.String.Interpol": "hl-m",
    "Literal.String.Regex": "hl-m",
    "Literal.Number": "hl-n",
    "Generic.Deleted": "hl-gd",
    "Generic.Inserted": "hl-gi",
    "Generic.Heading": "hl-k",
    "Generic.Subheading": "hl-k",
    "Generic.Emph": "hl-ge",
    "Generic.Strong": "hl-gs",
    "Generic.Prompt": "hl-c",
}


def highlight_lines(content: bytes, name: str) -> list[Markup]:
    """Return one piece of HTML a line, without line ends; plain where the text is too large or the language unknown.

    ``name`` is the file's name. Bytes that are no UTF-8 become replacement characters.
    """
    return highlight_text(decode_text(content), name)


def highlight_text(text: str, name: str) -> list[Markup]:
    """Return the same of text with ``\\n`` line ends."""
    lexer = _lexer_for(name, text[:1000]) if is_highlightable(text.encode("utf-8", "replace")) else None
    return _plain(text) if lexer is None else _colour(lexer, text)


def language_of(text: str, name: str) -> str:
    """Return the language whose lexer colours a text, empty where it stays plain for what it is or for its size."""
    lexer = _lexer_for(name, text[:1000]) if is_highlightable(text.encode("utf-8", "replace")) else None
    return "" if lexer is None or lexer.name == _NO_LANGUAGE else str(lexer.name)


def is_known_language(name: str) -> bool:
    """Tell whether a file's name alone says in which language it is."""
    return _class_for(name) is not None


def highlighter_version() -> str:
    """Return what besides text and language decides the HTML: kept HTML of another version is of no use."""
    import pygments

    return f"{_VERSION} {pygments.__version__}"


def highlight_language(text: str, language: str) -> Markup:
    """Return a block's HTML by the language's name, as Markdown fences give it; plain if unknown."""
    lexer = _lexer_named(language) if is_highlightable(text.encode()) else None
    lines = _plain(text) if lexer is None else _colour(lexer, text)
    return Markup("\n").join(lines)


def highlight_spans(text: str, name: str) -> list[list[tuple[str, int]]] | None:
    """Return for each line of a text its classes, each with how many characters it covers; None if it stays plain.

    Only ``\\n`` ends a line, and every other character is covered, so that callers can lay their own marks over it.
    """
    even = text.replace("\r", " ").replace("\ufeff", " ")  # a lexer would drop or change them
    lexer = _lexer_for(name, even[:1000]) if is_highlightable(even.encode("utf-8", "replace")) else None
    if lexer is None:
        return None
    return [[(css, len(piece)) for css, piece in line] for line in _pieces(lexer, even)]


def is_highlightable(content: bytes) -> bool:
    """Tell whether text is small enough, in whole and in each line, for a lexer."""
    if len(content) > HIGHLIGHT_BYTES_MAX:
        return False
    return len(content) <= LINE_BYTES_MAX or max(map(len, content.split(b"\n"))) <= LINE_BYTES_MAX


def decode_text(content: bytes) -> str:
    """Return file content as text with ``\\n`` line ends, without a byte order mark; never fails."""
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(text: str) -> list[Markup]:
    return [escape(line) for line in _split(text)]


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    return lines


@lru_cache(maxsize=4096)
def _class_for(name: str) -> "type[Lexer] | None":
    """Return the lexer by a file's name: it is held against some thousand patterns."""
    from pygments.lexers import find_lexer_class_for_filename

    found: type[Lexer] | None = find_lexer_class_for_filename(name)
    return found


def _lexer_for(name: str, start: str) -> "Lexer | None":
    found = _class_for(name)
    if found is None and start.startswith("#!"):
        words = start.split("\n", 1)[0].replace("/", " ").split()
        interpreter = next((word for word in reversed(words) if not word.startswith("-")), "")
        return _lexer_named(interpreter.rstrip("0123456789."))
    return None if found is None else found(stripnl=False, ensurenl=False)


@lru_cache(maxsize=64)
def _lexer_named(language: str) -> "Lexer | None":
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if not language or len(language) > 40:
        return None
    try:
        lexer: Lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
    return lexer


@lru_cache(maxsize=1024)
def _class_of(kind: Any) -> str:  # noqa: ANN401 (Pygments' token types are tuples of their own)
    parts = str(kind).removeprefix("Token.").split(".")
    while parts:
        found = _CLASSES.get(".".join(parts))
        if found:
            return found
        parts.pop()
    return ""


def _colour(lexer: "Lexer", text: str) -> list[Markup]:
    lines = [
        Markup("".join(f'<span class="{css}">{escape(piece)}</span>' if css else escape(piece) for css, piece in line))  # noqa: S704 (every piece is escaped)
        for line in _pieces(lexer, text)
    ]
    return lines[: len(_split(text))]


def _pieces(lexer: "Lexer", text: str) -> list[list[tuple[str, str]]]:
    """Return for each line its pieces: their class, empty for plain text, and the text itself.

    Where a lexer takes too long, the rest is plain.
    """
    lines: list[list[tuple[str, str]]] = [[]]
    done = 0
    ends_at = time.monotonic() + _PATIENCE_SECONDS
    for count, (kind, value) in enumerate(lexer.get_tokens(text)):
        if count % 1000 == 999 and time.monotonic() > ends_at:
            rest = text[done:].split("\n")
            lines[-1].append(("", rest[0]))
            lines += [[("", line)] for line in rest[1:]]
            break
        done += len(value)
        css = _class_of(kind)
        for index, piece in enumerate(value.split("\n")):
            if index:
                lines.append([])
            if piece:
                lines[-1].append((css, piece))
    return lines
