"""Collection of unreachable objects, undo packs and purges."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Bring the schema here."""
