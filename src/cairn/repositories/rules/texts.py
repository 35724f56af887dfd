"""Comparing a text as a rule says, in time linear in the text."""

from functools import lru_cache

from cairn.base.linear_regex import LinearRegex
from cairn.repositories.rules.types import MatchOperator, TextParameters

_WORDS = {
    MatchOperator.STARTS_WITH: "start with",
    MatchOperator.ENDS_WITH: "end with",
    MatchOperator.CONTAINS: "contain",
    MatchOperator.REGEX: "match",
}


def breaks(wanted: TextParameters, text: bytes) -> bool:
    """Tell whether a text is not as it must be; UTF-8, and an expression's ``^`` and ``$`` are a line's."""
    return _matches(wanted, text) is wanted.negate


def said(wanted: TextParameters) -> str:
    """Return in words how a text must be: ``must match 'JIRA-[0-9]+'``, or what its rule is called."""
    if wanted.name:
        return f"must be as {wanted.name!r} says"
    return f"must {'not ' if wanted.negate else ''}{_WORDS[wanted.operator]} {wanted.pattern!r}"


def _matches(wanted: TextParameters, text: bytes) -> bool:
    pattern = wanted.pattern.encode("utf-8", "surrogatepass")
    match wanted.operator:
        case MatchOperator.STARTS_WITH:
            return text.startswith(pattern)
        case MatchOperator.ENDS_WITH:
            return text.rstrip(b"\n").endswith(pattern)
        case MatchOperator.CONTAINS:
            return pattern in text
        case MatchOperator.REGEX:
            return _compiled(pattern).found_in(text)


@lru_cache(maxsize=1000)
def _compiled(pattern: bytes) -> LinearRegex:
    return LinearRegex(pattern)
