"""Random identifiers. Row ids come from the database; these are for names that must not be guessed or reused."""

import secrets
from typing import Annotated

from msgspec import Meta

HEX_ID_LENGTH = 32
RowId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""A row's number as somebody sends it in a body or a form: what no column can hold is refused there."""


def random_id() -> str:
    """Return 128 random bits as 32 lower-case hex digits: upload, push, pack, request and node ids."""
    return secrets.token_hex(HEX_ID_LENGTH // 2)


def random_secret() -> str:
    """Return 256 random bits, URL-safe (43 characters): session cookies and one-time links."""
    return secrets.token_urlsafe(32)
