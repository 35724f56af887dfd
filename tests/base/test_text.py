"""Text that every database keeps as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.text import problem_of_text


@pytest.mark.parametrize("text", ["", "plain", "ümläut \U0001f600", "x" * 20])
def test_ordinary_text_has_no_problem(text: str) -> None:
    assert problem_of_text(text, max_length=20) is None


@pytest.mark.parametrize("text", ["x" * 21, "a\x00b", "a\nb", "a\tb", "\x7f", "\x1b[31m", "\ud800", "a\udcff"])
def test_what_is_too_long_or_cannot_be_kept_is_told(text: str) -> None:
    assert problem_of_text(text, max_length=20)


def test_several_lines_are_fine_where_they_are_asked_for() -> None:
    assert problem_of_text("a\r\n\tb", max_length=20, is_multiline=True) is None
    assert problem_of_text("a\x00", max_length=20, is_multiline=True)


@given(st.text(st.characters(), max_size=30))
def test_text_without_a_problem_can_be_stored_anywhere(text: str) -> None:
    if problem_of_text(text, max_length=30, is_multiline=True) is None:
        assert "\x00" not in text
        assert text.encode("utf-8").decode("utf-8") == text
