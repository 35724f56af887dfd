"""What an address below ``/wiki`` asks for."""

import pytest

from cairn.repositories.wiki.frame import Asked, read_address

OID = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        (b"", Asked(b"Home")),
        (b"/", Asked(b"Home")),
        (b"Set-up", Asked(b"Set-up")),
        (b"/guides/Set-up/", Asked(b"guides/Set-up")),
        (b"Set-up/_history", Asked(b"Set-up", word=b"_history")),
        (b"guides/Set-up/_edit", Asked(b"guides/Set-up", word=b"_edit")),
        (b"Set-up/_delete", Asked(b"Set-up", word=b"_delete")),
        (b"guides/Set-up/" + OID.encode(), Asked(b"guides/Set-up", commit=OID)),
        # A word alone, or one that is none, is a page's name.
        (b"_history", Asked(b"_history")),
        (OID.encode(), Asked(OID.encode())),
        (b"Set-up/_other", Asked(b"Set-up/_other")),
        (b"Set-up/" + OID[:39].encode(), Asked(b"Set-up/" + OID[:39].encode())),
        (b"Set-up/\xff\xfe", Asked(b"Set-up/\xff\xfe")),
    ],
)
def test_a_word_or_a_commit_behind_a_name_is_asked_of_that_page(address: bytes, asked: Asked) -> None:
    assert read_address(address) == asked
