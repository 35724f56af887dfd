"""What the policy on tokens needs."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column("account_token", sa.Column("access_revoked_at", base.UtcDateTime(), nullable=True))
    op.create_index("ix_account_token_owner_id", "account_token", ["owner_id"], unique=False)
    op.add_column(
        "organization", sa.Column("token_lifetime_max_days", sa.Integer(), nullable=False, server_default="0")
    )
