"""Fixtures of this folder."""

from tests.factories.databases import database

__all__ = ["database"]
