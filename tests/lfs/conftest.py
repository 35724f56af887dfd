"""What the tests of large objects share."""

from tests.factories.forge import forge
from tests.factories.lfs import lfs_place

__all__ = ["forge", "lfs_place"]
