"""Counts that pages raise although reading writes nothing: kept in memory, written together a little later.

What a program counted since its last ``flush`` is lost with it: for numbers that people look at, not for those that
anything is decided by.
"""

from collections import Counter

_KEYS_MAX = 10_000
"""Beyond so many, further things wait for the next flush uncounted."""


class Tally:
    """Counts by a kind and the number of a thing."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()

    def add(self, kind: str, key: int) -> None:
        """Count one more."""
        if (kind, key) in self._counts or len(self._counts) < _KEYS_MAX:
            self._counts[kind, key] += 1

    def take(self, kind: str) -> dict[int, int]:
        """Return what was counted of a kind since the last time, by key, and begin anew."""
        found = {key: count for (each, key), count in self._counts.items() if each == kind}
        for key in found:
            del self._counts[kind, key]
        return found
