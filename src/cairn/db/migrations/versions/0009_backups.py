"""Backups and the pins that spare what they need."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Bring the schema here."""
