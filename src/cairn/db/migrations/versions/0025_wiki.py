"""Wikis: a second store of a repository, and where renamed pages went."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column("repository", sa.Column("has_wiki", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("repository", sa.Column("is_wiki_open", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("repository", sa.Column("wiki_store_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_repository_wiki_store_id",
        "repository",
        ["wiki_store_id"],
        unique=True,
        sqlite_where=sa.text("wiki_store_id IS NOT NULL"),
        postgresql_where=sa.text("wiki_store_id IS NOT NULL"),
    )
    op.create_table(
        "wiki_page_rename",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("old_key", base.HexId, nullable=False),
        sa.Column("page", base.binary(1024), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_wiki_page_rename_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "old_key", name="pk_wiki_page_rename"),
        **base.MYSQL_TABLE,
    )
