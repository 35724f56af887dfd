"""Fixtures of this folder."""

from tests.factories.engines import engine
from tests.factories.forge import forge

__all__ = ["engine", "forge"]
