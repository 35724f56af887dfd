"""How often the store was asked, and for how much: plain numbers of this process, read by the metrics page."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class StorageCounters:
    """Totals since the program started, each by operation (``put``, ``get``, ``stream``, ``stat`` …)."""

    calls: Counter[str] = field(default_factory=Counter)
    """Calls that were let through, whatever their end."""
    retries: Counter[str] = field(default_factory=Counter)
    """Attempts after the first."""
    failures: Counter[str] = field(default_factory=Counter)
    """Calls the store failed to serve after all retries; an absent object is no failure."""
    rejections: Counter[str] = field(default_factory=Counter)
    """Calls refused at once by the open breaker."""
    bytes_read: Counter[str] = field(default_factory=Counter)
    bytes_written: Counter[str] = field(default_factory=Counter)
