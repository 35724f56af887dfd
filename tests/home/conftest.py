"""Fixtures of this folder."""

from tests.factories.forge import forge

__all__ = ["forge"]
