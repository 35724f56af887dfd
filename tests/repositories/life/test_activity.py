"""Series and drawings of activity: people by address, one bar a value, nothing unescaped."""

from itertools import pairwise

from cairn.git.activity import WEEK_SECONDS, Activity, Week
from cairn.repositories.life.activity import authors_of, draw_bars, draw_punch_card, last_weeks


def test_people_of_one_address_are_one() -> None:
    weeks = [Week(0, 0, 2, 5, 1), Week(1, 0, 1), Week(1, WEEK_SECONDS, 1), Week(2, 0, 3)]
    authors = [("Ada", "ada@x"), ("ada l", "ADA@x"), ("Ben", "ben@x")]
    found = authors_of(Activity(authors, weeks, [0] * 168, has_lines=True))
    assert [(one.name, one.commits) for one in found] == [("Ada", 4), ("Ben", 3)]
    assert found[0].weeks == {0: (3, 5, 1), WEEK_SECONDS: (1, 0, 0)}


def test_fifty_two_weeks_end_with_the_present_one() -> None:
    weeks = last_weeks(1_700_000_000)
    assert (len(weeks), weeks[-1] <= 1_700_000_000 < weeks[-1] + WEEK_SECONDS) == (52, True)
    assert {later - earlier for earlier, later in pairwise(weeks)} == {WEEK_SECONDS}


def test_drawings_escape_what_they_show() -> None:
    drawn = str(draw_bars([0, 3], ["a", '<b>"'], 'x"<'))
    assert drawn.count("<rect") == 1
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    assert 'aria-label="x&#34;&lt;"' in drawn
    assert str(draw_bars([0, 0], ["a", "b"], "Nothing")) == ""
    assert str(draw_punch_card([0, 1, *[0] * 166])).count("<circle") == 1
