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
        "a\ud800@b.test",
    ],
)
def test_impossible_addresses_are_refused(email: str) -> None:
    """Attack: a line end in an address adds headers to a mail."""
    with pytest.raises(EmailInvalid):
        check_email(email)


def test_an_address_whose_key_is_too_long_is_refused() -> None:
    """Attack: some letters are two in lower case, and what is unique about the address no longer fits its column."""
    with pytest.raises(EmailInvalid):
        check_email("\u0130" * 60 + "@" + "\u0130" * 100)


def test_no_letter_passes_for_another_in_lower_case() -> None:
    """Attack: a Kelvin sign is a k in lower case: mail to another mailbox would prove somebody's address."""
    for email in ("\u212aate@example.test", "kate@\u212aernel.test"):
        with pytest.raises(EmailInvalid):
            check_email(email)
    assert check_email("\u00dcte@example.test") == "\u00dcte@example.test"
