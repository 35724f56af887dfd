"""Rules for branches and tags."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "ruleset",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("enforcement", sa.String(16), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("bypass_actors", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_ruleset_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name="fk_ruleset_owner_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_ruleset"),
        sa.UniqueConstraint("repository_id", "name", name="uq_ruleset_repository_id_name"),
        sa.UniqueConstraint("owner_id", "name", name="uq_ruleset_owner_id_name"),
        **base.NUMBERED_TABLE,
    )
    op.create_table(
        "rule_suite",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("ref", base.binary(1000), nullable=False),
        sa.Column("old_oid", base.OID, nullable=False),
        sa.Column("new_oid", base.OID, nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("evaluation", sa.String(16), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_rule_suite_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rule_suite"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_rule_suite_repository_id_id", "rule_suite", ["repository_id", "id"], unique=False)
    op.create_index("ix_rule_suite_at", "rule_suite", ["at"], unique=False)
