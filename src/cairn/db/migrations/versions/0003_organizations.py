"""Organizations, teams and the grants they give."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "organization",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("base_permission", sa.String(16), nullable=False),
        sa.Column("members_can_create_repositories", sa.Boolean(), nullable=False),
        sa.Column("members_can_create_teams", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_organization_account_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", name="pk_organization"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "organization_member",
        sa.Column("organization_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("joined_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.account_id"],
            name="fk_organization_member_organization_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_organization_member_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "account_id", name="pk_organization_member"),
        **base.MYSQL_TABLE,
    )
    op.create_index(
        "ix_organization_member_account_id_organization_id",
        "organization_member",
        ["account_id", "organization_id"],
        unique=False,
    )
    op.create_table(
        "team",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("privacy", sa.String(16), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.account_id"], name="fk_team_organization_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["team.id"], name="fk_team_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_team"),
        sa.UniqueConstraint("organization_id", "slug", name="uq_team_organization_id_slug"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_team_parent_id", "team", ["parent_id"], unique=False)
    op.create_table(
        "team_ancestor",
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ancestor_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="fk_team_ancestor_team_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["ancestor_id"], ["team.id"], name="fk_team_ancestor_ancestor_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "ancestor_id", name="pk_team_ancestor"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_team_ancestor_ancestor_id_team_id", "team_ancestor", ["ancestor_id", "team_id"], unique=False)
    op.create_table(
        "team_member",
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("joined_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="fk_team_member_team_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_team_member_account_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "account_id", name="pk_team_member"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_team_member_account_id_team_id", "team_member", ["account_id", "team_id"], unique=False)
    op.create_table(
        "team_grant",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("granted_at", base.UtcDateTime(), nullable=False),
        sa.Column("granted_by_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_team_grant_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="fk_team_grant_team_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("repository_id", "team_id", name="pk_team_grant"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_team_grant_team_id_repository_id", "team_grant", ["team_id", "repository_id"], unique=False)
