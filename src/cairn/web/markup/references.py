"""Mentions, issue numbers and commit ids in a text: found before it is rendered, linked where somebody knows them."""

import re

from markdown_it.token import Token

REFERENCES_MAX = 200
"""So many different ones of a text are looked up; the rest stays text."""

_REFERENCE = re.compile(
    r"(?<![\w/@.`&#-])(?:"
    r"(?P<mention>@[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:/[A-Za-z0-9][\w-]{0,98})?)"
    r"|(?P<issue>(?:GH-|(?:[A-Za-z0-9][\w.-]{0,99}/[\w.-]{1,100})?#)[1-9]\d{0,9})"
    r"|(?P<commit>(?:[A-Za-z0-9][\w.-]{0,99}/[\w.-]{1,100}@)?[0-9a-f]{7,40})"
    r")(?![\w/@-])"
)


def find_references(text: str) -> dict[str, str]:
    """Return what may be references in a text, as written, with what each may be: ``mention``, ``issue``, ``commit``.

    Some will stand in code or links, and are only looked up in vain. At most REFERENCES_MAX.
    """
    found: dict[str, str] = {}
    for match in _REFERENCE.finditer(text):
        if match.lastgroup == "commit" and not _may_be_commit(match[0]):
            continue
        found[match[0]] = str(match.lastgroup)
        if len(found) >= REFERENCES_MAX:
            break
    return found


def _may_be_commit(written: str) -> bool:
    """Tell whether hexadecimal digits look like an id: words and plain numbers seldom have both kinds."""
    digits = written.rpartition("@")[2]
    return len(digits) == 40 or not (digits.isdecimal() or digits.isalpha())


def link_references(children: list[Token], known: dict[str, str]) -> list[Token]:
    """Return a line's tokens with every known reference in running text made a link."""
    out: list[Token] = []
    depth = 0
    for child in children:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type == "text" and depth == 0:
            out += _split(child, known)
        else:
            out.append(child)
    return out


def _split(token: Token, known: dict[str, str]) -> list[Token]:
    out: list[Token] = []
    end = 0
    for match in _REFERENCE.finditer(token.content):
        address = known.get(match[0])
        if address is None:
            continue
        out.append(Token("text", "", 0, content=token.content[end : match.start()]))
        out.append(Token("link_open", "a", 1, attrs={"href": address}))
        out.append(_shown(match))
        out.append(Token("link_close", "a", -1))
        end = match.end()
    return [*out, Token("text", "", 0, content=token.content[end:])] if end else [token]


def _shown(match: re.Match[str]) -> Token:
    if match.lastgroup != "commit":
        return Token("text", "", 0, content=match[0])
    owner, at, oid = match[0].rpartition("@")
    return Token("code_inline", "code", 0, content=f"{owner}{at}{oid[:7]}")
