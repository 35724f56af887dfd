"""Random names: long enough, of the promised alphabet, never twice."""

import re

from cairn.base.ids import HEX_ID_LENGTH, random_id, random_secret


def test_an_id_is_32_lower_case_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", random_id())
    assert HEX_ID_LENGTH == 32


def test_a_secret_has_256_bits_and_needs_no_quoting_in_a_url() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", random_secret())


def test_a_thousand_ids_and_secrets_differ() -> None:
    assert len({random_id() for _ in range(1000)}) == 1000
    assert len({random_secret() for _ in range(1000)}) == 1000
