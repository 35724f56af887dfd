"""Forks and the packs they share."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "git_base_tip",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("oid", base.OID, nullable=False),
        sa.PrimaryKeyConstraint("store_id", "oid", name="pk_git_base_tip"),
        **base.MYSQL_TABLE,
    )
    op.add_column("repository", sa.Column("parent_id", sa.BigInteger(), nullable=True))
    op.add_column("repository", sa.Column("source_id", sa.BigInteger(), nullable=True))
    op.add_column("repository", sa.Column("is_withheld", sa.Boolean(), nullable=False, server_default=sa.false()))
    for column in ("parent_id", "source_id"):
        is_set = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_repository_{column}",
            "repository",
            [column],
            unique=False,
            sqlite_where=is_set,
            postgresql_where=is_set,
        )
    op.create_table(
        "repository_work",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("failure", sa.String(length=500), nullable=False),
        sa.Column("default_branch_only", sa.Boolean(), nullable=False),
        sa.Column("push_id", base.HexId, nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_work_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "kind", name="pk_repository_work"),
        **base.MYSQL_TABLE,
    )
