"""Invitations into organizations and repositories."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Bring the schema here."""
