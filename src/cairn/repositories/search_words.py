"""Reading what people type into a search: words, "phrases", and qualifiers such as ``language:x`` or ``-path:x``."""

import re
from collections.abc import Collection
from dataclasses import dataclass

QUERY_LENGTH_MAX = 1000

_PARTS = re.compile(
    r""""(?P<phrase>(?:[^"\\]|\\.)*)"(?!\S)
      |(?P<not>-)?(?P<name>[A-Za-z][\w-]*):(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?!\S)|(?P<value>\S+))
      |(?P<regex>/(?:[^/\\\s]|\\.)(?:[^/\\]|\\.)*/)(?!\S)
      |(?P<word>\S+)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Qualifier:
    """``name:value``, or ``-name:value``, as typed; the name is in lower case."""

    name: str
    value: str
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """A query taken apart: ``text`` is all of it but the qualifiers, as typed; ``words`` are its words and phrases."""

    text: str
    words: tuple[str, ...]
    qualifiers: tuple[Qualifier, ...]

    def of(self, name: str, *, is_negated: bool = False) -> list[str]:
        """Return the values of one qualifier."""
        return [one.value for one in self.qualifiers if one.name == name and one.is_negated is is_negated]


def split_query(query: str, names: Collection[str]) -> Words:
    """Return a query taken apart; only these ``names`` are qualifiers, what looks like another one is text.

    What stands in quotation marks, or between slashes as an expression, is text in any case.
    """
    query = query.replace("\0", "\ufffd")  # which no database takes as a character
    qualifiers: list[Qualifier] = []
    words: list[str] = []
    text: list[str] = []
    place = 0
    for match in _PARTS.finditer(query):
        name = (match["name"] or "").lower()
        if name in names:
            value = _unescaped(match["quoted"]) if match["quoted"] is not None else match["value"]
            qualifiers.append(Qualifier(name, value, match["not"] is not None))
            text.append(query[place : match.start()])
            place = match.end()
        else:
            words.append(_unescaped(match["phrase"]) if match["phrase"] is not None else match[0])
    text.append(query[place:])
    return Words(" ".join(part.strip() for part in text if part.strip()), tuple(words), tuple(qualifiers))


def unquoted(text: str) -> str:
    """Return what stands in the quotation marks around a whole text; any other text as it is."""
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', text)
    return text if match is None else _unescaped(match[1])


def _unescaped(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text)
