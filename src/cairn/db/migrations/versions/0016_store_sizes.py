"""The size of each store in its row, for the list of the largest."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column("git_store", sa.Column("pack_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE git_store SET pack_bytes = (SELECT COALESCE(SUM(p.pack_bytes), 0) FROM git_manifest m "
        "JOIN git_pack p ON p.store_id = m.pack_store_id AND p.id = m.pack_id WHERE m.store_id = git_store.id)"
    )
    op.create_index("ix_git_store_pack_bytes_id", "git_store", ["pack_bytes", "id"], unique=False)
