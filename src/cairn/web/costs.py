"""What routes cost, declared on each as data, and the budgets that keep costly ones from taking a node over.

A crawler comes from thousands of addresses at once, so a limit for each address does not hold it. All who are not
signed in therefore share one small number of places for costly work, in each program; everybody who is signed in has
places of their own. Besides, each caller has so many points a minute. What needs no work (an unchanged page, a kept
one) is free.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

from cairn.base.errors import Unavailable

RETRY_SECONDS = 5
QUEUE_SECONDS = 5.0
"""So long somebody waits for a place before they are asked to come back."""

OWN_PLACES_MIN = 8
"""Places of each caller who is signed in, unless those that are shared by all others are more."""

_WAITING_MAX = 32
"""For each caller's places: behind so many there is no use in waiting."""


class Cost(Enum):
    """What answering takes, as ``points`` of a caller's minute and of the places that are taken meanwhile."""

    LIGHT = 0
    """A few reads: no budget."""
    HISTORY = 1
    """A walk through history: blame, compare, histories, what contains what."""
    CONTENT = 2
    """All of a revision's files: search, archives; or as many diffs as a series has commits."""

    @property
    def points(self) -> int:
        """How much of a budget one request uses."""
        return self.value


class CostlyBusy(Unavailable):
    """All places for costly work that this caller shares stayed taken."""


@dataclass(slots=True, eq=False)
class _Waiter:
    caller: str
    points: int
    turn: "asyncio.Future[None]" = field(repr=False)


class CostPlaces:
    """The places of one program: ``shared`` for all callers of the empty name together, ``own`` for each other one.

    A request takes as many as it has points, at most all there are.
    """

    def __init__(self, *, shared: int, own: int, queue_seconds: float) -> None:
        self._shared = shared
        self._own = own
        self._queue_seconds = queue_seconds
        self._held: Counter[str] = Counter()
        self._waiters: dict[str, deque[_Waiter]] = {}

    @asynccontextmanager
    async def hold(self, caller: str, cost: Cost) -> AsyncIterator[None]:
        """Hold the places of one request until the block ends; ``caller`` is empty for all who are not signed in.

        Errors: CostlyBusy.
        """
        points = min(cost.points, self._limit(caller))
        if not points:
            yield
            return
        if caller in self._waiters or not self._fits(caller, points):
            await self._wait(caller, points)
        else:
            self._held[caller] += points
        try:
            yield
        finally:
            self._release(caller, points)

    def _limit(self, caller: str) -> int:
        return self._own if caller else self._shared

    def _fits(self, caller: str, points: int) -> bool:
        return self._held[caller] + points <= self._limit(caller)

    async def _wait(self, caller: str, points: int) -> None:
        """Return with the places taken."""
        queue = self._waiters.setdefault(caller, deque())
        if len(queue) >= _WAITING_MAX:
            raise _busy(caller)
        waiter = _Waiter(caller, points, asyncio.get_running_loop().create_future())
        queue.append(waiter)
        try:
            async with asyncio.timeout(self._queue_seconds):
                await waiter.turn
        except BaseException as error:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._release(caller, points)  # the turn came together with the end of the patience
            else:
                self._leave(waiter)
            if isinstance(error, TimeoutError):
                raise _busy(caller) from None
            raise

    def _leave(self, waiter: _Waiter) -> None:
        queue = self._waiters.get(waiter.caller, deque())
        if waiter in queue:  # else it was passed over already, when its turn came
            queue.remove(waiter)
        self._call_next(waiter.caller)

    def _release(self, caller: str, points: int) -> None:
        self._held[caller] -= points
        if not self._held[caller]:
            del self._held[caller]
        self._call_next(caller)

    def _call_next(self, caller: str) -> None:
        queue = self._waiters.get(caller)
        while queue and self._fits(caller, queue[0].points):
            waiter = queue.popleft()
            if not waiter.turn.done():
                self._held[caller] += waiter.points
                waiter.turn.set_result(None)
        if queue is not None and not queue:
            del self._waiters[caller]


def _busy(caller: str) -> CostlyBusy:
    if caller:
        said = "As many of your requests for histories, searches and comparisons run already as one account may have."
    else:
        said = "Many visitors who are not signed in ask for histories, searches and comparisons right now."
    return CostlyBusy(f"{said} Try again in {RETRY_SECONDS} seconds.", retry_after_seconds=RETRY_SECONDS)
