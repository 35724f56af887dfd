"""Commit-graphs and bitmaps of stores."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Bring the schema here."""
