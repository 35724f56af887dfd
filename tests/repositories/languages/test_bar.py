"""Shares of the bar: together a whole, the small ones together."""

from hypothesis import given
from hypothesis import strategies as st

from cairn.repositories.languages.bar import OTHER, SHOWN_MAX, colour_of, language_shares


def test_shares_come_the_largest_first_and_the_rest_together() -> None:
    sizes = {f"Language {number}": 100 - number for number in range(9)} | {"Python": 1000}
    shares = language_shares(sizes)
    assert [share.name for share in shares] == ["Python", *(f"Language {number}" for number in range(5)), OTHER]
    assert shares[0].colour == colour_of("python") != colour_of("klingon")
    assert language_shares({}) == []
    assert [(one.name, one.percent) for one in language_shares({"C": 100_000, "Go": 1})] == [("C", 100.0)]


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 10**12), max_size=12))
def test_all_shares_are_a_hundred_percent_side_by_side(sizes: dict[str, int]) -> None:
    shares = language_shares(sizes)
    assert len(shares) <= SHOWN_MAX + 1
    assert (round(sum(share.percent for share in shares), 1) == 100) is bool(sum(sizes.values()))
    place = 0.0
    for share in shares:
        assert round(share.start, 1) == round(place, 1)
        assert share.percent > 0
        place += share.percent
