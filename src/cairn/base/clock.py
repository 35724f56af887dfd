"""The node's clock, as a parameter. Leases, expiry and grace use the database's clock instead (``cairn.db.clock``)."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the node's time as an aware UTC datetime."""
    return datetime.now(UTC)
