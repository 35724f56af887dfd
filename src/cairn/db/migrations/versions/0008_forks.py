"""Forks and the packs they share."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Bring the schema here."""
