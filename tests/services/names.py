"""Names that no other test uses."""

import secrets


def fresh_name(prefix: str) -> str:
    """Return a name of lower-case letters, digits and underscores nobody else has."""
    return f"{prefix}_{secrets.token_hex(6)}"
