"""A circuit breaker: after repeated failures the backend is left alone for a moment, then asked one small thing."""

import time
from collections.abc import Callable
from enum import StrEnum

from cairn.storage.errors import unavailable

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 5.0


class BreakerState(StrEnum):
    """What the next call meets."""

    CLOSED = "closed"
    """It goes through."""
    OPEN = "open"
    """It fails at once."""
    HALF_OPEN = "half_open"
    """It waits for a probe, whose answer decides for everybody who waits (``Calls.admit``)."""


class Breaker:
    """Counts failures in a row; ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._next_probe_at: float | None = None

    @property
    def state(self) -> BreakerState:
        """The state now; reading it changes nothing."""
        if self._next_probe_at is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._clock() >= self._next_probe_at else BreakerState.OPEN

    def admit(self, operation: str) -> None:
        """Let a call through, or raise StorageUnavailable at once unless the breaker is closed."""
        if self.state is not BreakerState.CLOSED:
            raise unavailable(operation, "it failed repeatedly and is left alone for a moment")

    def succeeded(self) -> None:
        """The backend answered: close."""
        self._failures = 0
        self._next_probe_at = None

    def failed(self) -> None:
        """A call failed after its retries: open at the fifth in a row, and stay open after a failed probe."""
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN:
            self._next_probe_at = self._clock() + OPEN_SECONDS
