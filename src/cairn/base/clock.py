"""The node's clock, as a parameter. Leases, expiry and grace use the database's clock instead (``cairn.db.clock``)."""

from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the node's time as an aware UTC datetime."""
    return datetime.now(UTC)


def parse_moment(text: str) -> datetime:
    """Return a date or time somebody wrote (ISO 8601) as UTC, which it is unless it says otherwise.

    Errors: ValueError, also in the first and the last year there is: another zone, or a day more, leads out of them.
    """
    moment = datetime.fromisoformat(text)
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError(f"no clock shows the year {moment.year}")
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
