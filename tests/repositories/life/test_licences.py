"""Licences are recognised by their words, whoever holds them and however the lines break."""

import pytest

from cairn.repositories.life.licences import (
    FILE_NAME,
    UNKNOWN,
    find_licence,
    list_licences,
    name_of,
    recognise,
)


@pytest.mark.parametrize("key", [one.key for one in list_licences()])
def test_each_is_recognised_filled_in_and_broken_anew(key: str) -> None:
    licence = find_licence(key)
    assert licence is not None
    text = licence.text_for("Ada Lovelace", 1843)
    assert recognise(text) == licence.spdx_id
    assert recognise(" ".join(text.split("\n")[2:])) in {licence.spdx_id, UNKNOWN}
    assert name_of(licence.spdx_id) == licence.name


def test_a_licence_names_its_holder() -> None:
    licence = find_licence("MIT")
    assert licence is not None
    assert "Copyright (c) 1843 Ada Lovelace" in licence.text_for("Ada Lovelace", 1843)
    assert find_licence("nothing") is None


@pytest.mark.parametrize("text", ["", "hello world", "All rights reserved.", "word " * 5000])
def test_what_is_none_is_unknown(text: str) -> None:
    assert recognise(text) == UNKNOWN
    assert name_of(UNKNOWN) == "Other"


def test_which_files_hold_a_licence() -> None:
    for name in (b"LICENSE", b"licence.md", b"COPYING", b"UNLICENSE", b"License.txt"):
        assert FILE_NAME.fullmatch(name), name
    for name in (b"LICENSE.py", b"relicense", b"COPYING.LESSER", b"licenses"):
        assert not FILE_NAME.fullmatch(name), name
