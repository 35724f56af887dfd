"""The worker finds what was pushed lately and what is condemned without reading every pack."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_index("ix_git_pack_state_created_at", "git_pack", ["state", "created_at"], unique=False)
