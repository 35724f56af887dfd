"""Invitations into organizations."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "organization_invitation",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("invitee_key", sa.String(270), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("invited_by_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.account_id"],
            name="fk_organization_invitation_organization_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_organization_invitation_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_organization_invitation"),
        sa.UniqueConstraint(
            "organization_id", "invitee_key", name="uq_organization_invitation_organization_id_invitee_key"
        ),
        **base.NUMBERED_TABLE,
    )
    for column in ("invitee_key", "expires_at", "account_id"):
        op.create_index(f"ix_organization_invitation_{column}", "organization_invitation", [column], unique=False)
    op.create_table(
        "organization_invitation_team",
        sa.Column("invitation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["organization_invitation.id"],
            name="fk_organization_invitation_team_invitation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name="fk_organization_invitation_team_team_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("invitation_id", "team_id", name="pk_organization_invitation_team"),
        **base.MYSQL_TABLE,
    )
    op.create_index(
        "ix_organization_invitation_team_team_id", "organization_invitation_team", ["team_id"], unique=False
    )
    with op.batch_alter_table("one_time_link") as table:
        table.add_column(sa.Column("invitation_id", sa.BigInteger(), nullable=True))
        table.create_foreign_key(
            "fk_one_time_link_invitation_id", "organization_invitation", ["invitation_id"], ["id"], ondelete="CASCADE"
        )
        table.create_index("ix_one_time_link_invitation_id", ["invitation_id"], unique=False)
