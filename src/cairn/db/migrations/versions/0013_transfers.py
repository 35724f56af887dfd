"""Transfers of repositories that wait for the new owner."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Bring the schema here."""
