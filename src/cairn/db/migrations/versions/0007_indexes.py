"""Commit-graphs and bitmaps of stores."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "git_index",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("pack_ids", sa.JSON(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("condemned_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "id", name="pk_git_index"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_index_condemned_at", "git_index", ["condemned_at"], unique=False)
