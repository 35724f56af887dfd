"""The places for git children of one program, shared fairly between those who cause them.

Whoever holds as many places as are left waits, so the more somebody has, the more stays free for the others: of 16 a
lone caller gets 8, a second one 4, a third 2. However slow one account's pushes are, the next account finds a place.
Children whose length a client decides get half of all, shared out by the same rule.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from cairn.base.errors import Unavailable

BUSY_RETRY_SECONDS = 5
OVERLOADED_AFTER_SECONDS = 10

# In the context and not a parameter: it passes through every layer between a door and the child, background runs of a
# shared answer included, and changes nothing but the order in which they get a place.
_caller: ContextVar[str] = ContextVar("git_caller", default="")


class GitBusy(Unavailable):
    """All places for git children stayed taken while this one waited."""


@contextmanager
def on_behalf_of(caller: str) -> Iterator[None]:
    """Count the git children that start within the block as ``caller``'s; an empty name is the site's own work."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


@dataclass(slots=True, eq=False)
class _Waiter:
    caller: str
    is_paced: bool
    since: float
    turn: "asyncio.Future[None]" = field(repr=False)


class Places:
    """``total`` places; who waits longer than ``queue_seconds``, or behind ``max_waiting`` others, hears GitBusy."""

    def __init__(self, total: int, *, queue_seconds: float, max_waiting: int) -> None:
        self._free = total
        self._paced_free = max(1, total // 2)
        self._held: Counter[str] = Counter()
        self._paced_held: Counter[str] = Counter()
        self._queue_seconds = queue_seconds
        self._max_waiting = max_waiting
        self._waiters: deque[_Waiter] = deque()

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return len(self._waiters)

    @property
    def is_overloaded(self) -> bool:
        """True while no place is free and somebody waits too long for one already: newcomers would wait in vain."""
        if not self._waiters or self._free:
            return False
        waited = asyncio.get_running_loop().time() - self._waiters[0].since
        return (
            waited >= min(OVERLOADED_AFTER_SECONDS, self._queue_seconds / 2) or len(self._waiters) >= self._max_waiting
        )

    @asynccontextmanager
    async def hold(self, *, is_paced: bool) -> AsyncIterator[None]:
        """Hold one place for the length of the block. Errors: GitBusy."""
        caller = _caller.get()
        if not self._fits(caller, is_paced=is_paced):
            await self._wait(caller, is_paced=is_paced)
        else:
            self._take(caller, is_paced=is_paced)
        try:
            yield
        finally:
            self._release(caller, is_paced=is_paced)

    def _fits(self, caller: str, *, is_paced: bool) -> bool:
        if not self._free or (is_paced and not self._paced_free):
            return False
        if not caller:
            return True
        return self._held[caller] < self._free and (not is_paced or self._paced_held[caller] < self._paced_free)

    async def _wait(self, caller: str, *, is_paced: bool) -> None:
        """Return with a place taken."""
        if len(self._waiters) >= self._max_waiting:
            raise GitBusy(
                "too many git operations are waiting on this node; try again in a moment",
                retry_after_seconds=BUSY_RETRY_SECONDS,
            )
        loop = asyncio.get_running_loop()
        waiter = _Waiter(caller, is_paced, loop.time(), loop.create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._queue_seconds):
                await waiter.turn
        except BaseException as error:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._release(caller, is_paced=is_paced)  # the turn came together with the end of the patience
            else:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise self._busy(caller) from None
            raise

    def _busy(self, caller: str) -> GitBusy:
        if caller and self._free:
            said = f"{self._held[caller]} of your git operations run on this node already; try again when one is done"
        else:
            said = "this node is busy with other git operations; try again in a moment"
        return GitBusy(said, retry_after_seconds=BUSY_RETRY_SECONDS)

    def _take(self, caller: str, *, is_paced: bool) -> None:
        self._free -= 1
        self._held[caller] += 1
        if is_paced:
            self._paced_free -= 1
            self._paced_held[caller] += 1

    def _release(self, caller: str, *, is_paced: bool) -> None:
        self._free += 1
        _less(self._held, caller)
        if is_paced:
            self._paced_free += 1
            _less(self._paced_held, caller)
        self._call_next()

    def _call_next(self) -> None:
        """Give what is free to those who waited longest, passing over who may not have more yet."""
        for waiter in list(self._waiters):
            if not self._free:
                return
            if not waiter.turn.done() and self._fits(waiter.caller, is_paced=waiter.is_paced):
                self._take(waiter.caller, is_paced=waiter.is_paced)
                self._waiters.remove(waiter)
                waiter.turn.set_result(None)


def _less(held: Counter[str], caller: str) -> None:
    held[caller] -= 1
    if not held[caller]:
        del held[caller]
