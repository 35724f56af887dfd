"""Ranges in searches: ``stars:>=10``, ``stars:10..50``, ``created:2024-05-01``, ``pushed:<2024-05-01``.

Source: GitHub's "Understanding the search syntax": comparisons, ``a..b`` with both ends in it, and ``*`` for no end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from cairn.base.clock import parse_moment

_NUMBER = re.compile(r"[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COMPARED = re.compile(r"(>=|<=|>|<)(.+)")
T = TypeVar("T", int, datetime)


@dataclass(frozen=True, slots=True)
class Span(Generic[T]):
    """Everything from ``low`` up to before ``high``; None where there is no end."""

    low: T | None = None
    high: T | None = None


def read_numbers(text: str) -> Span[int]:
    """Return the numbers that a range means. Errors: ValueError."""

    def number(part: str) -> Span[int]:
        if not _NUMBER.fullmatch(part):
            raise ValueError(f"{part!r} is no number")
        return Span(int(part), int(part) + 1)

    return _read(text, number)


def read_moments(text: str) -> Span[datetime]:
    """Return the time that a range means; a day is all of it, in UTC. Errors: ValueError."""

    def moment(part: str) -> Span[datetime]:
        begin = parse_moment(part)
        return Span(begin, begin + (timedelta(days=1) if _DAY.fullmatch(part) else timedelta(seconds=1)))

    return _read(text, moment)


def _read(text: str, one: Callable[[str], Span[T]]) -> Span[T]:
    """``one`` returns what a single value covers."""
    compared = _COMPARED.fullmatch(text)
    if compared:
        span = one(compared[2])
        match compared[1]:
            case ">=":
                return Span(low=span.low)
            case ">":
                return Span(low=span.high)
            case "<=":
                return Span(high=span.high)
            case _:
                return Span(high=span.low)
    low, dots, high = text.partition("..")
    if not dots:
        return one(text)
    return Span(None if low == "*" else one(low).low, None if high == "*" else one(high).high)
