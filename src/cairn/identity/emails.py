"""E-mail addresses: only what cannot be one is refused; whether it works, a mail tells."""

import re

from cairn.base.errors import FieldProblem, Invalid

EMAIL_LENGTH_MAX = 254
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,189}")


class EmailInvalid(Invalid):
    """The text is no e-mail address."""


def check_email(email: str) -> str:
    """Return the address without blanks around it; EmailInvalid if it cannot be one (then nothing was stored)."""
    email = email.strip()
    if len(email) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email):
        message = f"{email[:60]!r} is not an e-mail address."
        raise EmailInvalid(message, FieldProblem("email", "invalid", message, "User"))
    return email
