"""The node's clock."""

from datetime import UTC, datetime, timedelta

import pytest

from cairn.base.clock import Clock, parse_moment, utc_now


def test_now_is_an_aware_utc_datetime_between_two_readings_of_the_system_clock() -> None:
    clock: Clock = utc_now
    before = datetime.now(UTC)
    now = clock()
    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)


def test_what_somebody_wrote_is_utc_unless_it_says_otherwise() -> None:
    for text in ("2026-01-31T10:30:00", "2026-01-31T12:30:00+02:00", "2026-01-31T10:30Z"):
        assert parse_moment(text) == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
        assert parse_moment(text).tzinfo is UTC
    day = timedelta(days=1)
    for text in ("9998-12-31T23:59:59-23:59", "0002-01-01T00:00:00+23:59"):
        assert parse_moment(text) + day > parse_moment(text) - day


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01T00:00:00+14:00", "soon", "", "9" * 400])
def test_a_moment_that_no_clock_shows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_moment(text)
