"""How many SSH connections there may be, and how often an address may fail to sign in.

A client offers its keys one by one until one is known: that is how the protocol begins, so a connection counts as
failed only when it ends without having signed in although it tried. An address where that happens all the time is
slowed down, never shut out: a whole office may be behind it, and no key was ever guessed.
"""

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

KEYS_PER_CONNECTION_MAX = 32
"""An agent may hold many keys; beyond this somebody is guessing."""
FAILURES_MAX = 30
FAILURE_WINDOW_SECONDS = 60.0
SLOW_SECONDS = 3.0
"""So long waits everybody from an address with too many failures before a key is looked at."""
_ADDRESSES_MAX = 10_000


class ConnectionLimits:
    """Admits connections of one program; ``clock`` is monotonic seconds."""

    def __init__(self, *, per_address: int, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_address = per_address
        self._total = total
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    @property
    def open_connections(self) -> int:
        """Connections admitted and not yet released."""
        return self._open.total()

    @property
    def is_full(self) -> bool:
        """True if nobody is let in, from whatever address."""
        return self._open.total() >= self._total

    def admit(self, address: str) -> bool:
        """Count a connection and return True, or return False if it must be closed at once."""
        if self.is_full or self._open[address] >= self._per_address:
            return False
        self._open[address] += 1
        return True

    def delay_seconds(self, address: str) -> float:
        """Return how long a client from this address waits before it may show a key."""
        return SLOW_SECONDS if self._recent_failures(address) >= FAILURES_MAX else 0.0

    def release(self, address: str) -> None:
        """Take an admitted connection off the count."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def failed(self, address: str) -> None:
        """Note that a connection tried to sign in and ended without."""
        moments = self._failures.setdefault(address, deque(maxlen=FAILURES_MAX))
        moments.append(self._clock())
        self._failures.move_to_end(address)
        if len(self._failures) > _ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def _recent_failures(self, address: str) -> int:
        moments = self._failures.get(address)
        if moments is None:
            return 0
        horizon = self._clock() - FAILURE_WINDOW_SECONDS
        while moments and moments[0] < horizon:
            moments.popleft()
        if not moments:
            del self._failures[address]
        return len(moments)
