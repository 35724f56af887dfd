"""Fixtures of this folder: an engine, a forge."""

from tests.factories.engines import engine
from tests.factories.forge import forge

__all__ = ["engine", "forge"]
