"""Sealed ranges of the audit log."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Bring the schema here."""
