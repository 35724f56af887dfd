"""Organizations, teams and the grants they give."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring the schema here."""
