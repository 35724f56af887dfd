"""Deploy keys and fine-grained tokens."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column("account_token", sa.Column("owner_id", sa.BigInteger(), nullable=True))
    op.add_column("account_token", sa.Column("permissions", sa.JSON(none_as_null=True), nullable=True))
    # SQLite copies the table; an id must still never be given twice.
    with op.batch_alter_table("account_ssh_key", table_kwargs=base.NUMBERED_TABLE) as table:
        table.alter_column("account_id", existing_type=sa.BigInteger(), nullable=True)
        table.add_column(sa.Column("repository_id", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("can_write", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("created_by_id", sa.BigInteger(), nullable=True))
        table.create_foreign_key(
            "fk_account_ssh_key_repository_id", "repository", ["repository_id"], ["id"], ondelete="CASCADE"
        )
        table.create_index("ix_account_ssh_key_repository_id", ["repository_id"], unique=False)
