"""The node's clock."""

from datetime import UTC, datetime, timedelta

from cairn.base.clock import Clock, utc_now


def test_now_is_an_aware_utc_datetime_between_two_readings_of_the_system_clock() -> None:
    clock: Clock = utc_now
    before = datetime.now(UTC)
    now = clock()
    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)
