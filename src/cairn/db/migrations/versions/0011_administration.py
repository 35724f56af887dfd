"""What administrators set and see: announcements, registration, programs that run."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "announcement",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("is_dismissible", sa.Boolean(), nullable=False),
        sa.Column("starts_at", base.UtcDateTime(), nullable=False),
        sa.Column("ends_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_announcement"),
        **base.NUMBERED_TABLE,
    )
    op.create_table(
        "running_program",
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("started_at", base.UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_running_program"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_running_program_last_seen_at", "running_program", ["last_seen_at"], unique=False)
    op.create_table(
        "site_setting",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_site_setting"),
        **base.MYSQL_TABLE,
    )
