"""What people do with their own accounts, and the mails they get."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring the schema here."""
    for name, length in (
        ("website", 255),
        ("company", 255),
        ("location", 255),
        ("pronouns", 40),
        ("public_email", 254),
    ):
        op.add_column("account", sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
    op.add_column("account", sa.Column("keeps_email_private", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("account", sa.Column("avatar_id", base.HexId, nullable=True))
    op.add_column("account", sa.Column("renamed_at", base.UtcDateTime(), nullable=True))
    op.add_column("account", sa.Column("rename_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("account", sa.Column("deleted_at", base.UtcDateTime(), nullable=True))
    op.add_column("account_session", sa.Column("proved_at", base.UtcDateTime(), nullable=True))
    op.add_column("one_time_link", sa.Column("email", sa.String(length=254), nullable=False, server_default=""))
    op.create_index("ix_one_time_link_account_id", "one_time_link", ["account_id"], unique=False)
    op.create_table(
        "reserved_login",
        sa.Column("login_sha256", base.HashHex, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("until", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("login_sha256", name="pk_reserved_login"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "mail_outbox",
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("template", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("sealed", sa.LargeBinary(length=65535), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("sent_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_mail_outbox"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_mail_outbox_created_at_id", "mail_outbox", ["created_at", "id"], unique=False)
