"""What people do with their own accounts."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring the schema here."""
