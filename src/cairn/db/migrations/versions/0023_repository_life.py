"""Stars, watching, pins, templates, what was deleted and may come back, and where renamed branches went."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Bring the schema here."""
    for column in ("is_deleted", "is_template"):
        op.add_column("repository", sa.Column(column, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("repository", sa.Column("template_id", sa.BigInteger(), nullable=True))
    had_parent = sa.text("former_parent_id IS NOT NULL")
    op.add_column("repository", sa.Column("former_parent_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_repository_former_parent_id",
        "repository",
        ["former_parent_id"],
        unique=False,
        sqlite_where=had_parent,
        postgresql_where=had_parent,
    )
    op.add_column("repository", sa.Column("license", sa.String(50), nullable=False, server_default=""))
    for column in ("stars_count", "watchers_count"):
        op.add_column("repository", sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_repository_visibility_stars_count", "repository", ["visibility", "stars_count"], unique=False)
    op.create_table(
        "repository_deletion",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("deleted_by_id", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", base.UtcDateTime(), nullable=False),
        sa.Column("erase_at", base.UtcDateTime(), nullable=False),
        _of_repository("repository_deletion"),
        sa.PrimaryKeyConstraint("repository_id", name="pk_repository_deletion"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_repository_deletion_erase_at", "repository_deletion", ["erase_at"], unique=False)
    op.create_index(
        "ix_repository_deletion_owner_id_deleted_at", "repository_deletion", ["owner_id", "deleted_at"], unique=False
    )
    op.create_table(
        "repository_star",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("starred_at", base.UtcDateTime(), nullable=False),
        _of_repository("repository_star"),
        _of_account("repository_star"),
        sa.PrimaryKeyConstraint("repository_id", "account_id", name="pk_repository_star"),
        **base.MYSQL_TABLE,
    )
    op.create_index(
        "ix_repository_star_account_id_starred_at", "repository_star", ["account_id", "starred_at"], unique=False
    )
    op.create_table(
        "repository_watch",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("subjects", sa.String(200), nullable=False),
        sa.Column("watched_at", base.UtcDateTime(), nullable=False),
        _of_repository("repository_watch"),
        _of_account("repository_watch"),
        sa.PrimaryKeyConstraint("repository_id", "account_id", name="pk_repository_watch"),
        **base.MYSQL_TABLE,
    )
    op.create_index(
        "ix_repository_watch_account_id_watched_at", "repository_watch", ["account_id", "watched_at"], unique=False
    )
    op.create_table(
        "account_pin",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        _of_account("account_pin"),
        _of_repository("account_pin"),
        sa.PrimaryKeyConstraint("account_id", "repository_id", name="pk_account_pin"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "repository_branch_rename",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("old_key", base.HexId, nullable=False),
        sa.Column("branch", base.binary(1000), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        _of_repository("repository_branch_rename"),
        sa.PrimaryKeyConstraint("repository_id", "old_key", name="pk_repository_branch_rename"),
        **base.MYSQL_TABLE,
    )


def _of_repository(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_repository_id"
    return sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=name, ondelete="CASCADE")


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_account_id"
    return sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=name, ondelete="CASCADE")
