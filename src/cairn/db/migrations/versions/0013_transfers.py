"""Transfers of repositories that wait for the new owner."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "repository_transfer",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("new_owner_id", sa.BigInteger(), nullable=False),
        sa.Column("new_name", sa.String(100), nullable=False),
        sa.Column("asked_by_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_transfer_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["new_owner_id"], ["account.id"], name="fk_repository_transfer_new_owner_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", name="pk_repository_transfer"),
        **base.MYSQL_TABLE,
    )
    for column in ("new_owner_id", "expires_at"):
        op.create_index(f"ix_repository_transfer_{column}", "repository_transfer", [column], unique=False)
