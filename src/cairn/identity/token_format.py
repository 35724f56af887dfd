"""Secrets people carry: their form, their checksum, their hash. Only hashes are stored.

A token is ``crn_``, 30 random base62 digits and 6 of the CRC-32 over them, so that a secret scanner finds it and knows
a real one from a look-alike without asking anybody.
"""

import hashlib
import re
import secrets
import zlib

TOKEN_PREFIX = "crn_"  # noqa: S105 (a prefix, no secret)
_RANDOM_DIGITS = 30
_CHECKSUM_DIGITS = 6
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(rf"{TOKEN_PREFIX}[0-9A-Za-z]{{{_RANDOM_DIGITS + _CHECKSUM_DIGITS}}}")


def make_token() -> str:
    """Return a new token, 40 characters with 178 random bits."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_DIGITS))
    return f"{TOKEN_PREFIX}{body}{_checksum(body)}"


def looks_like_token(text: str) -> bool:
    """Tell whether somebody meant this as a token: the prefix decides, not the checksum."""
    return text.startswith(TOKEN_PREFIX)


def has_token_form(text: str) -> bool:
    """Tell whether the text has a token's prefix, characters and length, whatever the checksum."""
    return _TOKEN.fullmatch(text) is not None


def is_well_formed_token(text: str) -> bool:
    """Tell whether the text has a token's form and the checksum fits, so that it is worth a query."""
    if not has_token_form(text):
        return False
    body = text[len(TOKEN_PREFIX) : -_CHECKSUM_DIGITS]
    return text.endswith(_checksum(body))


def hash_secret(secret: str) -> str:
    """Return what is stored of a secret with 128 or more random bits: its SHA-256 as 64 hex digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_DIGITS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
