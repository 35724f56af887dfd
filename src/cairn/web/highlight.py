"""Source text to highlighted HTML lines. Pygments is loaded on first use, one lexer at a time."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from pygments.lexer import Lexer

HIGHLIGHT_BYTES_MAX = 512 << 10
"""Larger text is shown plain: highlighting it would take longer than a reader waits."""
LINE_BYTES_MAX = 20_000
"""One line longer than this (minified code) makes lexers slow: the text is shown plain."""

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
    text = decode_text(content)
    lexer = _lexer_for(name, text[:1000]) if is_highlightable(content) else None
    return _plain(text) if lexer is None else _colour(lexer, text)


def highlight_language(text: str, language: str) -> Markup:
    """Return a block's HTML by the language's name, as Markdown fences give it; plain if unknown."""
    lexer = _lexer_named(language) if is_highlightable(text.encode()) else None
    lines = _plain(text) if lexer is None else _colour(lexer, text)
    return Markup("\n").join(lines)


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


def _lexer_for(name: str, start: str) -> "Lexer | None":
    from pygments.lexers import find_lexer_class_for_filename

    found = find_lexer_class_for_filename(name)
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
    done: list[Markup] = []
    line: list[str] = []
    for kind, value in lexer.get_tokens(text):
        css = _class_of(kind)
        for index, piece in enumerate(value.split("\n")):
            if index:
                done.append(Markup("".join(line)))  # noqa: S704 (every piece is escaped below)
                line = []
            if piece:
                safe = str(escape(piece))
                line.append(f'<span class="{css}">{safe}</span>' if css else safe)
    done.append(Markup("".join(line)))  # noqa: S704 (every piece is escaped above)
    expected = len(_split(text))
    return done[:expected]
