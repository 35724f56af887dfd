import pytest

from cairn.git.armor import signature_start

PGP = b"-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
SSH = b"-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"", b""),
        (b"Two\n", b"Two\n"),
        (b"Two\n" + PGP, b"Two\n"),
        (b"Two\n\n" + SSH, b"Two\n\n"),
        (PGP, b""),
        (b"Two\n" + PGP + b"and\n" + SSH, b"Two\n" + PGP + b"and\n"),
        (b"it says -----BEGIN PGP SIGNATURE-----\n", b"it says -----BEGIN PGP SIGNATURE-----\n"),
    ],
)
def test_the_last_opening_line_begins_the_signature(message: bytes, text: bytes) -> None:
    assert message[: signature_start(message)] == text
