"""The frame reads dates as browsers and people write them."""

from datetime import UTC, datetime

import pytest

from cairn.base.errors import Invalid
from cairn.ops.admin_frame import SECTIONS, read_moment


def test_dates_are_utc_unless_they_say_otherwise() -> None:
    assert read_moment("", "since") is None
    assert read_moment("2026-01-31", "since") == datetime(2026, 1, 31, tzinfo=UTC)
    assert read_moment("2026-01-31T12:30", "since") == datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
    assert read_moment("2026-01-31T12:30+02:00", "since") == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["x", "2026-13-01", "31.1.2026", "9" * 400, "9999-12-31", "0001-01-01T00:00+14:00"])
def test_what_is_no_date_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_moment(text, "since")
    assert caught.value.problems[0].field == "since"


def test_every_section_has_a_path_of_its_own() -> None:
    assert len({path for path, _, _ in SECTIONS}) == len(SECTIONS)
