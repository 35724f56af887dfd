"""How long one request may wait for the database and the object store: one allowance for all its calls together.

A door opens the allowance with ``patience``; clients of other services wait inside ``waiting``. The clock runs only
while somebody waits, once however many wait side by side, so that long work that makes progress (receiving a pack,
git's own children, the transfer of a file) costs nothing. What outlives its request, and programs without requests,
wait as long as each client's own limit says.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

REQUEST_SECONDS = 8.0
"""What a request may wait in all. Answers are promised within 10 s, and giving a lost connection up takes up to 2."""


class OutOfPatience(TimeoutError):
    """The call did not end within its own limit or within what its request had left to wait."""


class _Allowance:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting = 0
        self._since = 0.0
        self.is_over = False

    def left(self) -> float:
        running = time.monotonic() - self._since if self._waiting else 0.0
        return max(0.0, self._seconds - running)

    @contextmanager
    def running(self) -> Iterator[None]:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._seconds -= time.monotonic() - self._since


_allowance: ContextVar[_Allowance | None] = ContextVar("cairn.patience", default=None)


@contextmanager
def patience(seconds: float = REQUEST_SECONDS) -> Iterator[None]:
    """Let everything inside the block, and while it lasts the tasks it starts, wait so many seconds in all."""
    allowance = _Allowance(seconds)
    token = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(token)
        allowance.is_over = True


def seconds_left(limit_seconds: float) -> float:
    """Return how long one call may take: its own limit or what the request has left, whichever is less."""
    allowance = _current()
    return limit_seconds if allowance is None else min(limit_seconds, allowance.left())


@asynccontextmanager
async def waiting(limit_seconds: float | None = None) -> AsyncIterator[None]:
    """Run the block on the request's clock; OutOfPatience when that or the call's own limit (None: none) is over."""
    allowance = _current()
    if allowance is None:
        if limit_seconds is None:
            yield
            return
        async with _limited(limit_seconds):
            yield
        return
    left = allowance.left()
    with allowance.running():
        async with _limited(left if limit_seconds is None else min(left, limit_seconds)):
            yield


@asynccontextmanager
async def _limited(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if limit.expired():
            raise OutOfPatience("no answer in time") from error
        raise


def _current() -> _Allowance | None:
    allowance = _allowance.get()
    return None if allowance is None or allowance.is_over else allowance
