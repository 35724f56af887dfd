"""Releases, their files and the bytes of those in the object store."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cairn.db import base

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Bring the schema here."""
    notes = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    op.create_table(
        "repository_release",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("tag", base.binary(1000), nullable=False),
        sa.Column("published_tag", base.binary(1000), nullable=True),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("notes", notes, nullable=False),
        sa.Column("search_text", sa.String(600), nullable=False),
        sa.Column("is_prerelease", sa.Boolean(), nullable=False),
        sa.Column("may_be_latest", sa.Boolean(), nullable=False),
        sa.Column("is_latest", sa.Boolean(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("published_at", base.UtcDateTime(), nullable=True),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_release_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["account.id"], name="fk_repository_release_author_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_repository_release"),
        sa.UniqueConstraint("repository_id", "published_tag", name="uq_repository_release_repository_id_published_tag"),
        **base.NUMBERED_TABLE,
    )
    op.create_index(
        "ix_repository_release_repository_id_created_at",
        "repository_release",
        ["repository_id", "created_at"],
        unique=False,
    )
    op.create_index("ix_repository_release_author_id", "repository_release", ["author_id"], unique=False)
    op.create_table(
        "release_file",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("announced_key", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", base.HashHex, nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "id", name="pk_release_file"),
        sa.UniqueConstraint("announced_key", name="uq_release_file_announced_key"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_release_file_state_since", "release_file", ["state", "since"], unique=False)
    op.create_table(
        "release_asset",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("release_id", sa.BigInteger(), nullable=False),
        sa.Column("file_id", base.HexId, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", base.HashHex, nullable=False),
        sa.Column("uploader_id", sa.BigInteger(), nullable=True),
        sa.Column("download_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_release_asset_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["release_id"], ["repository_release.id"], name="fk_release_asset_release_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["uploader_id"], ["account.id"], name="fk_release_asset_uploader_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_release_asset"),
        sa.UniqueConstraint("release_id", "name", name="uq_release_asset_release_id_name"),
        sa.UniqueConstraint("repository_id", "file_id", name="uq_release_asset_repository_id_file_id"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_release_asset_uploader_id", "release_asset", ["uploader_id"], unique=False)
