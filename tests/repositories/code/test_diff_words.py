"""Which words changed in a line, and which line became which."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories.seeds import chosen_seed

from cairn.repositories.code.diff_words import WORDS_MAX, changed_words, pair_lines


def marked(line: str, ranges: list[tuple[int, int]]) -> str:
    """Return a line with its changed ranges in brackets."""
    shown = line
    for start, end in reversed(ranges):
        shown = f"{shown[:start]}[{shown[start:end]}]{shown[end:]}"
    return shown


@pytest.mark.parametrize(
    ("old", "new", "shown_old", "shown_new"),
    [
        ("    return wheel", "    return wheel + 1", "    return wheel", "    return wheel[ + 1]"),
        ("def f(a, b=2, c=3):", "def f(a, c=3, d=4):", "def f(a, [b=2, ]c=3):", "def f(a, c=3[, d=4]):"),
        ("    x = 1", "\tx = 1", "[    ]x = 1", "[\t]x = 1"),
        ("same", "same", "same", "same"),
        ("", "", "", ""),
        ("größe = 1", "größe = 2", "größe = [1]", "größe = [2]"),
    ],
)
def test_the_words_that_changed_are_marked(old: str, new: str, shown_old: str, shown_new: str) -> None:
    found = changed_words(old, new)
    assert found is not None
    assert (marked(old, found[0]), marked(new, found[1])) == (shown_old, shown_new)


def test_lines_with_nothing_in_common_are_not_compared() -> None:
    assert changed_words("import sys", "the quick brown fox") is None


WORDS = st.lists(st.sampled_from(["a", "b", "foo", " ", "  ", "(", ")", ",", "ä", "\t"]), max_size=30).map("".join)


@given(WORDS, WORDS)
def test_what_is_not_marked_is_the_same_on_both_sides(old: str, new: str) -> None:
    found = changed_words(old, new)
    if found is None:
        return

    def kept(line: str, ranges: list[tuple[int, int]]) -> str:
        at, out = 0, ""
        for start, end in ranges:
            assert at <= start < end <= len(line)
            out, at = out + line[at:start], end
        return out + line[at:]

    # White space alone between two changes belongs to them.
    assert "".join(kept(old, found[0]).split()) == "".join(kept(new, found[1]).split())


def test_of_a_line_of_very_many_words_only_the_ends_are_compared() -> None:
    middle = " x" * WORDS_MAX
    found = changed_words(
        f"start{middle} end" + " same" * 2000, f"start{middle.replace('x', 'y')} end" + " same" * 2000
    )
    assert found is not None
    assert found[0] == [(6, 5 + len(middle))]


def test_the_most_alike_lines_become_each_other() -> None:
    old = ["total = 0", "for value in values:", "    total += value"]
    new = ["# Add all of them.", "total = 1", "    total += value * 2"]
    assert pair_lines([*old, "return total"], [new[1], new[2]]) == [(0, 0), (2, 1)]
    assert pair_lines(old, new) == [(0, 0), (1, 1), (2, 2)]  # as many on both sides are taken as they stand
    assert pair_lines([], new) == pair_lines(old, []) == []


def test_pairs_never_cross() -> None:
    choose = random.Random(chosen_seed())
    for _ in range(200):
        sides = [
            [choose.choice(["a b c", "b c d", "x y z", "", "a"]) for _ in range(choose.randrange(8))] for _ in "ab"
        ]
        pairs = pair_lines(*sides)
        assert pairs == sorted(pairs)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
