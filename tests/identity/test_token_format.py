"""Tokens: recognisable, checkable without a query, stored as a hash."""

import re
import zlib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cairn.identity.token_format import hash_secret, is_well_formed_token, looks_like_token, make_token


def test_a_token_has_prefix_36_characters_and_a_checksum_that_fits() -> None:
    token = make_token()
    assert re.fullmatch(r"crn_[0-9A-Za-z]{36}", token)
    assert is_well_formed_token(token)
    assert looks_like_token(token)


def test_tokens_differ() -> None:
    assert len({make_token() for _ in range(100)}) == 100


def test_the_checksum_is_fixed_so_that_scanners_can_compute_it() -> None:
    assert is_well_formed_token("crn_" + "0" * 30 + _base62(zlib.crc32(b"0" * 30)))


@given(st.integers(0, 35), st.sampled_from("0123456789abcXYZ"))
def test_one_changed_character_breaks_the_checksum(position: int, letter: str) -> None:
    token = make_token()
    index = len("crn_") + position
    changed = token[:index] + letter + token[index + 1 :]
    assert is_well_formed_token(changed) == (changed == token)


@given(st.text(max_size=50))
def test_other_texts_are_no_tokens(text: str) -> None:
    assert not is_well_formed_token(text)


def test_a_hash_is_64_hex_digits_and_of_any_text() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", hash_secret("crn_x"))
    assert re.fullmatch(r"[0-9a-f]{64}", hash_secret("\udcff"))


def _base62(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(digits[number // 62**place % 62] for place in range(5, -1, -1))


def test_the_guide_tells_scanners_how_to_verify_a_token() -> None:
    """The recipe in the documentation is run as it stands there."""
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "access.md").read_text("utf-8")
    recipe: dict[str, Any] = {}
    exec(guide.split("```python\n")[1].split("```")[0], recipe)
    for _ in range(50):
        token = make_token()
        assert recipe["is_token"](token)
        changed = token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
        assert not recipe["is_token"](changed)
