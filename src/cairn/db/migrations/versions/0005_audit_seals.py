"""The audit log keeps user agent, changes and organization, is sealed in ranges, and refuses to be rewritten."""

import logging

import sqlalchemy as sa
from alembic import op

from cairn.db import base

revision = "0005"
down_revision = "0004"

_MYSQL_MAY_NOT = {1142, 1227, 1419}
"""Errors of a user who may not create triggers: TRIGGER is not granted, or the server writes a binary log."""

# What a statement on each table must not do; an entry may go once a seal says that its range was given up.
_GIVEN_UP = (
    "EXISTS (SELECT 1 FROM audit_seal WHERE kind = 'retention' "
    "AND log_id = COALESCE(OLD.organization_id, 0) AND last_id >= OLD.id)"
)
_GUARDS = (
    ("audit_entry", "UPDATE", "FALSE"),
    ("audit_entry", "DELETE", _GIVEN_UP),
    ("audit_seal", "UPDATE", "FALSE"),
    ("audit_seal", "DELETE", "FALSE"),
)


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column("audit_entry", sa.Column("organization_id", sa.BigInteger(), nullable=True))
    op.add_column("audit_entry", sa.Column("user_agent", sa.String(length=255), nullable=False, server_default=""))
    op.add_column("audit_entry", sa.Column("changes", sa.JSON(), nullable=True))
    op.create_index("ix_audit_entry_organization_id_id", "audit_entry", ["organization_id", "id"], unique=False)
    op.create_table(
        "audit_seal",
        sa.Column("log_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("newest_at", base.UtcDateTime(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(length=65535), nullable=False),
        sa.Column("entries_sha256", base.HashHex, nullable=False),
        sa.Column("previous_sha256", base.HashHex, nullable=False),
        sa.Column("sha256", base.HashHex, nullable=False),
        sa.Column("sealed_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "number", name="pk_audit_seal"),
        **base.MYSQL_TABLE,
    )
    op.create_index("ix_audit_seal_last_id", "audit_seal", ["last_id"], unique=False)
    dialect = op.get_bind().dialect.name
    guard = {"sqlite": _guard_sqlite, "postgresql": _guard_postgresql}.get(dialect, _guard_mysql)
    for table, verb, permitted in _GUARDS:
        guard(table, verb, permitted)


def _name(table: str, verb: str) -> str:
    return f"{table}_refuse_{verb.lower()}"


def _guard_sqlite(table: str, verb: str, permitted: str) -> None:
    op.execute(
        f"CREATE TRIGGER {_name(table, verb)} BEFORE {verb} ON {table} WHEN NOT ({permitted}) "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )


def _guard_postgresql(table: str, verb: str, permitted: str) -> None:
    name = _name(table, verb)
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NOT ({permitted}) THEN RAISE EXCEPTION 'the audit log is append-only'; END IF; RETURN OLD; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _guard_mysql(table: str, verb: str, permitted: str) -> None:
    """Create the trigger if this user may; without it the log's promise is kept by the code and the seals alone."""
    try:
        op.get_bind().exec_driver_sql(
            f"CREATE TRIGGER {_name(table, verb)} BEFORE {verb} ON {table} FOR EACH ROW BEGIN "
            f"IF NOT ({permitted}) THEN SIGNAL SQLSTATE '45000' "
            "SET MESSAGE_TEXT = 'the audit log is append-only'; END IF; END"
        )
    except sa.exc.DBAPIError as error:
        if error.orig is None or not error.orig.args or error.orig.args[0] not in _MYSQL_MAY_NOT:
            raise
        logging.getLogger(__name__).warning("no trigger refuses %s on %s: %s", verb, table, error.orig)
