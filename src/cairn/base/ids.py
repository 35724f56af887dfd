"""Random identifiers. Row ids come from the database; these are for names that must not be guessed or reused."""

import secrets

HEX_ID_LENGTH = 32


def random_id() -> str:
    """Return 128 random bits as 32 lower-case hex digits: upload, push, pack, request and node ids."""
    return secrets.token_hex(HEX_ID_LENGTH // 2)


def random_secret() -> str:
    """Return 256 random bits, URL-safe (43 characters): session cookies and one-time links."""
    return secrets.token_urlsafe(32)
