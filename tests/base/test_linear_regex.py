"""The expressions behind searches: lines, refusals, and time that does not explode."""

import pytest

from cairn.base.linear_regex import LinearRegex, RegexRefused


def test_anchors_are_a_lines_and_no_match_spans_lines() -> None:
    text = b"one\ntwo\n\nthree"
    assert LinearRegex(rb"^t\w+$").spans(text, most=9) == [(4, 7), (9, 14)]
    assert LinearRegex(rb"e\s+t").spans(text, most=9) == []
    assert LinearRegex(b"x*").spans(b"axx", most=9) == [(1, 3)], "matches of nothing are left out"
    assert LinearRegex(b"a").spans(b"aaa", most=2) == [(0, 1), (1, 2)]


def test_text_is_taken_literally_and_case_is_unicodes() -> None:
    assert LinearRegex(b"a.b(", is_literal=True).spans(b"axb( a.b(", most=9) == [(5, 9)]
    shouted = LinearRegex("ärger".encode(), is_literal=True, is_case_sensitive=False)
    assert shouted.found_in("ÄRGER".encode())
    assert LinearRegex(b"[\x80-\xff]", is_bytewise=True).matches(b"\xe4")


@pytest.mark.parametrize("pattern", [b"(a", rb"(a)\1", b"a(?=b)", b"(a{1,100}){1,100}", b"[z-a]"])
def test_what_cannot_be_searched_in_linear_time_is_refused(pattern: bytes) -> None:
    with pytest.raises(RegexRefused):
        LinearRegex(pattern)


@pytest.mark.parametrize("pattern", [b"(x+x+)+y", b"(a|aa)*z", b"(.*)*b", b"(\\w+\\s?)*!"])
def test_expressions_that_explode_elsewhere_do_not_here(pattern: bytes) -> None:
    """Attack: a search that keeps a core busy for hours, as it does with an engine that goes back."""
    assert not LinearRegex(pattern).found_in(b"x" * 100_000 if pattern != b"(.*)*b" else b"a" * 100_000)
