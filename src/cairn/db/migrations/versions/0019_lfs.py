"""Large objects of Git LFS: bytes, whose they are, uploads, sums, locks."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "lfs_blob",
        sa.Column("sha256", base.HashHex, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("condemned_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_lfs_blob"),
        sa.UniqueConstraint("key", name="uq_lfs_blob_key"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_lfs_blob_state_condemned_at", "lfs_blob", ["state", "condemned_at"], unique=False)
    op.create_table(
        "lfs_object",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("oid", base.HashHex, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("wanted_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_lfs_object_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["oid"], ["lfs_blob.sha256"], name="fk_lfs_object_oid"),
        sa.PrimaryKeyConstraint("repository_id", "oid", name="pk_lfs_object"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_lfs_object_oid", "lfs_object", ["oid"], unique=False)
    op.create_table(
        "lfs_usage",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("object_bytes", sa.BigInteger(), nullable=False),
        sa.Column("collected_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_lfs_usage_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", name="pk_lfs_usage"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_lfs_usage_collected_at", "lfs_usage", ["collected_at"], unique=False)
    op.create_table(
        "lfs_upload",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("is_expired", sa.Boolean(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "id", name="pk_lfs_upload"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_lfs_upload_is_expired_expires_at", "lfs_upload", ["is_expired", "expires_at"], unique=False)
    op.create_table(
        "lfs_lock",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("path", base.binary(1000), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("locked_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_lfs_lock_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_lfs_lock_account_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("repository_id", "id", name="pk_lfs_lock"),
        sa.UniqueConstraint("repository_id", "path", name="uq_lfs_lock_repository_id_path"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_lfs_lock_account_id", "lfs_lock", ["account_id"], unique=False)
