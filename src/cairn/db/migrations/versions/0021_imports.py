"""Repositories that come from elsewhere."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "repository_import",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("sealed", sa.LargeBinary(65535), nullable=True),
        sa.Column("with_lfs", sa.Boolean(), nullable=False),
        sa.Column("with_wiki", sa.Boolean(), nullable=False),
        sa.Column("default_branch_only", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("refs_done", sa.BigInteger(), nullable=False),
        sa.Column("refs_total", sa.BigInteger(), nullable=False),
        sa.Column("refs_left_out", sa.BigInteger(), nullable=False),
        sa.Column("objects_done", sa.BigInteger(), nullable=False),
        sa.Column("objects_total", sa.BigInteger(), nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("lfs_done", sa.BigInteger(), nullable=False),
        sa.Column("lfs_total", sa.BigInteger(), nullable=False),
        sa.Column("failure_kind", sa.String(16), nullable=True),
        sa.Column("failure", sa.String(1000), nullable=False),
        sa.Column("note", sa.String(1000), nullable=False),
        sa.Column("started_at", base.UtcDateTime(), nullable=False),
        sa.Column("seen_at", base.UtcDateTime(), nullable=False),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_import_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", name="pk_repository_import"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_repository_import_account_id_state", "repository_import", ["account_id", "state"], unique=False)
    op.create_index("ix_repository_import_state_seen_at", "repository_import", ["state", "seen_at"], unique=False)
