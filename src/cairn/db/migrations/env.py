"""Alembic's entry: runs the versions on the connection that ``cairn.db.migrate`` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite and PostgreSQL take a version whole or not at all; MySQL commits at each statement, whatever is asked.
    transaction_per_migration=True,
    transactional_ddl=context.config.attributes["transactional_ddl"],
)
with context.begin_transaction():
    context.run_migrations()
