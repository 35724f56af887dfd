import pytest

from cairn.git.types import ZERO_OID, OidInvalid, is_oid, parse_oid, show


def test_forty_hex_digits_are_an_object_id() -> None:
    assert parse_oid("0123456789abcdef" * 2 + "01234567") == "0123456789abcdef" * 2 + "01234567"
    assert is_oid(ZERO_OID)


@pytest.mark.parametrize("text", ["", "abc", "A" * 40, "g" * 40, "a" * 41, "a" * 40 + "\n", "-" + "a" * 39, "HEAD"])
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(OidInvalid) as caught:
        parse_oid(text)
    assert repr(text) in caught.value.message
    assert not is_oid(text)


def test_shown_names_hold_no_control_characters() -> None:
    assert show(b"a\xff\x1b[31m\n") == "a\\xff\\x1b[31m\\n"
    assert show("ä".encode()) == "ä"
