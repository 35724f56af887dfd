"""Keys that sign commits and tags."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "account_signing_key",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(80), nullable=False),
        sa.Column("algorithm", sa.String(64), nullable=False),
        sa.Column("public_key", sa.String(4096), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_account_signing_key_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account_signing_key"),
        sa.UniqueConstraint("account_id", "fingerprint", name="uq_account_signing_key_account_id_fingerprint"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_account_signing_key_fingerprint", "account_signing_key", ["fingerprint"], unique=False)
    op.create_table(
        "account_gpg_key",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("primary_id", sa.BigInteger(), nullable=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("certificate", sa.LargeBinary(65535), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("emails", sa.JSON(), nullable=False),
        sa.Column("can_sign", sa.Boolean(), nullable=False),
        sa.Column("can_certify", sa.Boolean(), nullable=False),
        sa.Column("can_encrypt_comms", sa.Boolean(), nullable=False),
        sa.Column("can_encrypt_storage", sa.Boolean(), nullable=False),
        sa.Column("is_revoked", sa.Boolean(), nullable=False),
        sa.Column("made_at", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_account_gpg_key_account_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["primary_id"], ["account_gpg_key.id"], name="fk_account_gpg_key_primary_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account_gpg_key"),
        sa.UniqueConstraint("account_id", "fingerprint", name="uq_account_gpg_key_account_id_fingerprint"),
        **base.NUMBERED_TABLE,
    )
    for column in ("fingerprint", "key_id", "primary_id"):
        op.create_index(f"ix_account_gpg_key_{column}", "account_gpg_key", [column], unique=False)
