"""Where SSH keys were last used from."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column(
        "account_ssh_key", sa.Column("last_used_address", sa.String(length=64), nullable=False, server_default="")
    )
