"""The database: one schema and one history on PostgreSQL, MySQL/MariaDB and SQLite.

Owns the engines, the session edge, the declarative base with its portable column types, the database's clock and the
migrations; owns no table. Start at ``database``.
"""
