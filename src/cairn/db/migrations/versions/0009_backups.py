"""Backups and the pins that spare what they need."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the pins, and the record of what backups did."""
    op.create_table(
        "git_pin",
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("purpose", sa.String(length=255), nullable=False),
        sa.Column("since", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_git_pin"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "backup_run",
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("backup", sa.String(length=40), nullable=False),
        sa.Column("place", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at", base.UtcDateTime(), nullable=False),
        sa.Column("alive_until", base.UtcDateTime(), nullable=False),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.Column("told", sa.String(length=1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backup_run"),
        sa.UniqueConstraint("place", name="uq_backup_run_place"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_backup_run_kind_started_at", "backup_run", ["kind", "started_at"], unique=False)
