"""Large objects in archives, and pushes of pointers whose objects are lost."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column(
        "repository", sa.Column("has_lfs_in_archives", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("repository", sa.Column("allows_lost_lfs", sa.Boolean(), nullable=False, server_default=sa.false()))
