"""Ranges mean what GitHub's do; what is none is refused."""

from datetime import UTC, datetime

import pytest

from cairn.repositories.search_ranges import Span, read_moments, read_numbers


def day(number: int, hour: int = 0, second: int = 0) -> datetime:
    return datetime(2024, 5, number, hour, 0, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("5", 5, 6),
        (">5", 6, None),
        (">=5", 5, None),
        ("<5", None, 5),
        ("<=5", None, 6),
        ("5..9", 5, 10),
        ("*..9", None, 10),
        ("5..*", 5, None),
    ],
)
def test_numbers(text: str, low: int | None, high: int | None) -> None:
    assert read_numbers(text) == Span(low, high)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024-05-01", day(1), day(2)),
        (">2024-05-01", day(2), None),
        (">=2024-05-01", day(1), None),
        ("<2024-05-01", None, day(1)),
        ("<=2024-05-01", None, day(2)),
        ("2024-05-01..2024-05-03", day(1), day(4)),
        (">2024-05-01T07:00:00Z", day(1, 7, 1), None),
        ("2024-05-01T07:00:00+02:00..*", day(1, 5), None),
    ],
)
def test_days_and_times(text: str, low: datetime | None, high: datetime | None) -> None:
    assert read_moments(text) == Span(low, high)


@pytest.mark.parametrize("text", ["", "many", ">", "-1", "5..", "..5", "5..9..11", "٣", "1" * 19, ">>5", "*"])
def test_what_is_no_range_of_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        read_numbers(text)


@pytest.mark.parametrize("text", ["", "yesterday", ">", "2024-13-01", "9999-12-31", "0001-01-01", "2024-05-01.."])
def test_what_is_no_range_of_time(text: str) -> None:
    with pytest.raises(ValueError):
        read_moments(text)
