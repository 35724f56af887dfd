"""Collection of unreachable objects, undo packs, purges and the comparison of bucket and tables."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Bring the schema here. What was pushed before may hold anything: every store is looked at once."""
    op.add_column("git_store", sa.Column("collect_after", base.UtcDateTime(), nullable=True))
    op.execute("UPDATE git_store SET collect_after = created_at")
    op.create_index("ix_git_store_collect_after", "git_store", ["collect_after"], unique=False)
    op.add_column("git_ref_log", sa.Column("is_rewind", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_index(
        "ix_git_ref_log_store_id_is_rewind_at", "git_ref_log", ["store_id", "is_rewind", "at"], unique=False
    )
    _create_undo_packs()
    _create_purges()
    op.create_table(
        "git_bucket_comparison",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("compared_at", base.UtcDateTime(), nullable=True),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.BigInteger(), nullable=False),
        sa.Column("held_at", base.UtcDateTime(), nullable=True),
        sa.Column("hold_reason", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_git_bucket_comparison"),
        **base.MYSQL_TABLE,
    )


def _create_undo_packs() -> None:
    op.create_table(
        "git_undo_pack",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("pack_bytes", sa.BigInteger(), nullable=False),
        sa.Column("index_bytes", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("pack_sha256", base.HashHex, nullable=False),
        sa.Column("index_sha256", base.HashHex, nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "id", name="pk_git_undo_pack"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_undo_pack_expires_at", "git_undo_pack", ["expires_at"], unique=False)


def _create_purges() -> None:
    op.create_table(
        "git_purged_object",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("oid", base.OID, nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "oid", name="pk_git_purged_object"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "git_purged_root",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("oid", base.OID, nullable=False),
        sa.PrimaryKeyConstraint("store_id", "oid", name="pk_git_purged_root"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "git_purged_pack",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pack_id", base.HexId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "pack_id", name="pk_git_purged_pack"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_purged_pack_at", "git_purged_pack", ["at"], unique=False)
