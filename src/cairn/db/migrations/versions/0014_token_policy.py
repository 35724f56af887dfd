"""What the policy on tokens needs."""

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Bring the schema here."""
