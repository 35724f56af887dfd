"""The one history of the schema. Alembic runs ``env.py``; the versions stand in ``versions/``, numbered from 0001.

A version imports no model. What it takes from ``cairn.db.base`` (column types, table options) is frozen: to change the
meaning of one, add another name there. How to write a version: docs/guides/database.md.
"""
