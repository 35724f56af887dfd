"""Keys with which Cairn logs in to other servers, and the host keys those showed."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "account_outgoing_key",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(65535), nullable=False),
        sa.Column("fingerprint", sa.String(80), nullable=False),
        sa.Column("public_key", sa.String(4096), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_account_outgoing_key_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_account_outgoing_key"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "account_known_host",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.String(260), nullable=False),
        sa.Column("fingerprint", sa.String(80), nullable=False),
        sa.Column("public_key", sa.String(4096), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_account_known_host_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account_known_host"),
        sa.UniqueConstraint("account_id", "place", name="uq_account_known_host_account_id_place"),
        **base.NUMBERED_TABLE,
    )
