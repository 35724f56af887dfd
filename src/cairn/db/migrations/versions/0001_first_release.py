"""Every table of the first release."""

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables; those that others refer to come first."""
    op.create_table(
        "access_grant",
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("granted_at", base.UtcDateTime(), nullable=False),
        sa.Column("granted_by_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("repository_id", "account_id", name="pk_access_grant"),
        **base.MYSQL_TABLE,
    )
    op.create_index(
        "ix_access_grant_account_id_repository_id", "access_grant", ["account_id", "repository_id"], unique=False
    )
    op.create_table(
        "account",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("login", sa.String(length=39), nullable=False),
        sa.Column("login_key", sa.String(length=39), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("bio", sa.String(length=500), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("is_site_admin", sa.Boolean(), nullable=False),
        sa.Column("suspended_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("login_key", name="uq_account_login_key"),
        **base.NUMBERED_TABLE,
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("repository_id", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_audit_entry_actor_id_at", "audit_entry", ["actor_id", "at"], unique=False)
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"], unique=False)
    op.create_index("ix_audit_entry_repository_id_at", "audit_entry", ["repository_id", "at"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_event_at", "event", ["at"], unique=False)
    op.create_index("ix_event_repository_id_id", "event", ["repository_id", "id"], unique=False)
    op.create_table(
        "git_pack",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("pack_bytes", sa.BigInteger(), nullable=False),
        sa.Column("index_bytes", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("pack_sha256", base.HashHex, nullable=False),
        sa.Column("index_sha256", base.HashHex, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("condemned_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "id", name="pk_git_pack"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "git_push",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "id", name="pk_git_push"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_push_store_id_at", "git_push", ["store_id", "at"], unique=False)
    op.create_table(
        "git_ref",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", base.binary(1000), nullable=False),
        sa.Column("oid", base.OID, nullable=False),
        sa.Column("peeled", base.OID, nullable=True),
        sa.PrimaryKeyConstraint("store_id", "name", name="pk_git_ref"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_ref_store_id_oid", "git_ref", ["store_id", "oid"], unique=False)
    op.create_table(
        "git_ref_log",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ref_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", base.binary(1000), nullable=False),
        sa.Column("old_oid", base.OID, nullable=False),
        sa.Column("new_oid", base.OID, nullable=False),
        sa.Column("push_id", base.HexId, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "ref_version", "position", name="pk_git_ref_log"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_ref_log_store_id_at", "git_ref_log", ["store_id", "at"], unique=False)
    op.create_table(
        "git_store",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("object_format", sa.String(length=8), nullable=False),
        sa.Column("head_target", base.binary(1000), nullable=False),
        sa.Column("ref_version", sa.BigInteger(), nullable=False),
        sa.Column("manifest_version", sa.BigInteger(), nullable=False),
        sa.Column("tags_version", sa.BigInteger(), nullable=False),
        sa.Column("cache_epoch", sa.BigInteger(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_git_store"),
        **base.NUMBERED_TABLE,
    )
    op.create_table(
        "git_upload",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", base.HexId, nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "id", name="pk_git_upload"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_upload_state_expires_at", "git_upload", ["state", "expires_at"], unique=False)
    op.create_table(
        "instance_secret",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(length=65535), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_instance_secret"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "job",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("unique_key", sa.String(length=200), nullable=True),
        sa.Column("run_again", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", base.UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fencing", sa.BigInteger(), nullable=False),
        sa.Column("holder", base.HexId, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("unique_key", name="uq_job_unique_key"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_job_sequence_state_id", "job", ["sequence", "state", "id"], unique=False)
    op.create_index("ix_job_state_due_at", "job", ["state", "due_at"], unique=False)
    op.create_index("ix_job_state_finished_at", "job", ["state", "finished_at"], unique=False)
    op.create_table(
        "job_schedule",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("last_due_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_job_schedule"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "one_time_link",
        sa.Column("secret_sha256", base.HashHex, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.Column("used_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("secret_sha256", name="pk_one_time_link"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "account_email",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("email_key", sa.String(length=254), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("verified_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_account_email_account_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_account_email"),
        sa.UniqueConstraint("email_key", name="uq_account_email_email_key"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_account_email_account_id", "account_email", ["account_id"], unique=False)
    op.create_table(
        "account_rename",
        sa.Column("login_key", sa.String(length=39), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_account_rename_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("login_key", name="pk_account_rename"),
        **base.MYSQL_TABLE,
    )
    op.create_table(
        "account_session",
        sa.Column("cookie_sha256", base.HashHex, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("last_used_at", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("user_agent", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_account_session_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cookie_sha256", name="pk_account_session"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_account_session_account_id", "account_session", ["account_id"], unique=False)
    op.create_table(
        "account_ssh_key",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=80), nullable=False),
        sa.Column("algorithm", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.String(length=4096), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("last_used_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_account_ssh_key_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account_ssh_key"),
        sa.UniqueConstraint("fingerprint", name="uq_account_ssh_key_fingerprint"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_account_ssh_key_account_id", "account_ssh_key", ["account_id"], unique=False)
    op.create_table(
        "account_token",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("token_sha256", base.HashHex, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("last_characters", sa.String(length=8), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("repository_ids", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=True),
        sa.Column("last_used_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_account_token_account_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_account_token"),
        sa.UniqueConstraint("token_sha256", name="uq_account_token_token_sha256"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_account_token_account_id", "account_token", ["account_id"], unique=False)
    op.create_table(
        "git_manifest",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pack_store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pack_id", base.HexId, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["pack_store_id", "pack_id"],
            ["git_pack.store_id", "git_pack.id"],
            name="fk_git_manifest_pack_store_id_pack_id",
        ),
        sa.PrimaryKeyConstraint("store_id", "pack_store_id", "pack_id", name="pk_git_manifest"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_git_manifest_pack_store_id_pack_id", "git_manifest", ["pack_store_id", "pack_id"], unique=False)
    op.create_table(
        "repository",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("name_key", sa.String(length=100), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("visibility", sa.String(16), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=False),
        sa.Column("homepage", sa.String(length=1000), nullable=False),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.Column("pushed_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name="fk_repository_owner_id"),
        sa.ForeignKeyConstraint(["store_id"], ["git_store.id"], name="fk_repository_store_id"),
        sa.PrimaryKeyConstraint("id", name="pk_repository"),
        sa.UniqueConstraint("owner_id", "name_key", name="uq_repository_owner_id_name_key"),
        sa.UniqueConstraint("store_id", name="uq_repository_store_id"),
        **base.NUMBERED_TABLE,
    )
    op.create_index("ix_repository_visibility_pushed_at", "repository", ["visibility", "pushed_at"], unique=False)
    op.create_table(
        "repository_rename",
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name_key", sa.String(length=100), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name="fk_repository_rename_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", "name_key", name="pk_repository_rename"),
        **base.MYSQL_TABLE,
    )
