"""What repositories are searched by: topics, languages, and their texts in one narrow column."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column("repository", sa.Column("language", sa.String(50), nullable=True))
    op.add_column("repository", sa.Column("topics", sa.String(1100), nullable=False, server_default=""))
    op.add_column("repository", sa.Column("search_text", sa.String(2300), nullable=False, server_default=""))
    table = sa.table(
        "repository",
        sa.column("name_key", sa.String()),
        sa.column("description", sa.String()),
        sa.column("search_text", sa.String()),
    )
    op.execute(sa.update(table).values(search_text=table.c.name_key + "\n" + sa.func.lower(table.c.description) + "\n"))
    op.create_table(
        "repository_topic",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(50), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_topic_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "topic", name="pk_repository_topic"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_repository_topic_topic_repository_id", "repository_topic", ["topic", "repository_id"])
    op.create_table(
        "repository_languages",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tree_oid", base.OID, nullable=False),
        sa.Column("sizes", sa.JSON(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("counted_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_languages_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", name="pk_repository_languages"),
        **base.MYSQL_TABLE,
    )
