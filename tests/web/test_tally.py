"""Counts are kept by kind and key, handed out once, and never more than there is room for."""

import pytest

from cairn.web.tally import Tally


def test_what_was_counted_is_handed_out_once_and_by_its_kind() -> None:
    tally = Tally()
    for kind, key in (("file", 1), ("file", 1), ("file", 2), ("page", 1)):
        tally.add(kind, key)
    assert tally.take("file") == {1: 2, 2: 1}
    assert tally.take("file") == {}
    assert tally.take("page") == {1: 1}


def test_beyond_the_bound_only_what_is_counted_already_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.web.tally._KEYS_MAX", 2)
    tally = Tally()
    for key in (1, 2, 3, 1):
        tally.add("file", key)
    assert tally.take("file") == {1: 2, 2: 1}
    tally.add("file", 3)
    assert tally.take("file") == {3: 1}
