"""Fixtures of this folder."""

from tests.factories.engines import engine

__all__ = ["engine"]
