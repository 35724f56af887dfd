"""Repositories that follow another one, or that another one follows."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "repository_mirror",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("sealed", sa.LargeBinary(65535), nullable=True),
        sa.Column("refs", sa.String(16), nullable=False),
        sa.Column("pattern", sa.String(255), nullable=False),
        sa.Column("overwrites", sa.Boolean(), nullable=False),
        sa.Column("prunes", sa.Boolean(), nullable=False),
        sa.Column("with_lfs", sa.Boolean(), nullable=False),
        sa.Column("interval_minutes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", base.UtcDateTime(), nullable=False),
        sa.Column("tried_at", base.UtcDateTime(), nullable=True),
        sa.Column("synced_at", base.UtcDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(1000), nullable=False),
        sa.Column("note", sa.String(1000), nullable=False),
        sa.Column("skipped", sa.JSON(), nullable=False),
        sa.Column("skipped_count", sa.BigInteger(), nullable=False),
        sa.Column("moved_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_mirror_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_repository_mirror"),
        sa.UniqueConstraint("repository_id", "slot", name="uq_repository_mirror_repository_id_slot"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_repository_mirror_state_due_at", "repository_mirror", ["state", "due_at"], unique=False)
    op.add_column("repository", sa.Column("mirror_url", sa.String(2000), nullable=False, server_default=""))
    op.add_column("repository", sa.Column("is_mirror", sa.Boolean(), nullable=False, server_default=sa.false()))
