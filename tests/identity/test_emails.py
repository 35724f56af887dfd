"""E-mail addresses: only what cannot be one is refused."""

import pytest

from cairn.identity.emails import EmailInvalid, check_email


@pytest.mark.parametrize("email", ["a@b.test", "first.last+tag@sub.example.test", "root@localhost", "ü@exämple.test"])
def test_possible_addresses_pass(email: str) -> None:
    assert check_email(f" {email} ") == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "@b",
        "a@",
        "a@b@c",
        "a b@c",
        "a@b c",
        "<a@b>",
        "a@b\nBcc: x@y",
        "a\r@b",
        "x" * 65 + "@b",
        "a@" + "b" * 260,
    ],
)
def test_impossible_addresses_are_refused(email: str) -> None:
    """Attack: a line end in an address adds headers to a mail."""
    with pytest.raises(EmailInvalid):
        check_email(email)
