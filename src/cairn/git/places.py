"""The places for git children of one program, shared fairly between those who cause them.

Whoever holds as many places as are left waits, so the more somebody has, the more stays free for the others: of 16 a
lone caller gets 8, a second one 4, a third 2. However slow one account's pushes are, the next account finds a place.
Children whose length a client decides get half of all, those that pack the answer to a fetch as many as the operator
says; both are shared out by the same rule.

Callers that are not signed in are as many as a crawler has addresses, so together they never get the last quarter of
any kind of place, nor more than half of the queue: who is signed in always finds a way past them.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum

from cairn.base.errors import Unavailable

BUSY_RETRY_SECONDS = 5
OVERLOADED_AFTER_SECONDS = 10

ANONYMOUS = "address:"
"""How the name of a caller begins who is not signed in: all an address can say is where a request came from."""

# In the context and not a parameter: it passes through every layer between a door and the child, background runs of a
# shared answer included, and changes nothing but the order in which they get a place.
_caller: ContextVar[str] = ContextVar("git_caller", default="")


class Kind(Enum):
    """What a child costs, beside its place."""

    SHORT = "short"
    """A moment, and little else."""
    PACED = "paced"
    """As long as a client likes: it feeds or empties the child at its own pace."""
    PACKING = "packing"
    """A core and much memory: it gathers the answer to a fetch."""


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


_KEPT_PART = 4
"""One place in so many is kept for callers who are signed in; of fewer places, none."""


@dataclass(slots=True, eq=False)
class _Waiter:
    caller: str
    kind: Kind
    since: float
    turn: "asyncio.Future[None]" = field(repr=False)


class Places:
    """``total`` places, ``packing`` of them for answers to fetches.

    Who waits longer than ``queue_seconds``, or behind ``max_waiting`` others, hears GitBusy.
    """

    def __init__(self, total: int, *, packing: int, queue_seconds: float, max_waiting: int) -> None:
        self._free = total
        self._held: Counter[str] = Counter()
        self._free_of = {Kind.SHORT: total, Kind.PACED: max(1, total // 2), Kind.PACKING: min(packing, total)}
        self._held_of: dict[Kind, Counter[str]] = {kind: Counter() for kind in Kind}
        self._open_to_all = {kind: free - free // _KEPT_PART for kind, free in self._free_of.items()}
        self._held_by_anonymous = dict.fromkeys(Kind, 0)
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
    async def hold(self, kind: Kind) -> AsyncIterator[None]:
        """Hold one place for the length of the block. Errors: GitBusy."""
        caller = _caller.get()
        if not self._fits(caller, kind):
            await self._wait(caller, kind)
        else:
            self._take(caller, kind)
        try:
            yield
        finally:
            self._release(caller, kind)

    def _fits(self, caller: str, kind: Kind) -> bool:
        if not self._free or not self._free_of[kind]:
            return False
        if not caller:
            return True
        if _is_anonymous(caller) and not self._fits_anonymous(kind):
            return False
        return self._held[caller] < self._free and self._held_of[kind][caller] < self._free_of[kind]

    def _fits_anonymous(self, kind: Kind) -> bool:
        """Tell whether all who are not signed in hold less than they may together, of this kind and of all."""
        held = self._held_by_anonymous
        return held[kind] < self._open_to_all[kind] and sum(held.values()) < self._open_to_all[Kind.SHORT]

    async def _wait(self, caller: str, kind: Kind) -> None:
        """Return with a place taken."""
        if self._queue_is_full(caller):
            raise GitBusy(
                "too many git operations are waiting on this node; try again in a moment",
                retry_after_seconds=BUSY_RETRY_SECONDS,
            )
        loop = asyncio.get_running_loop()
        waiter = _Waiter(caller, kind, loop.time(), loop.create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._queue_seconds):
                await waiter.turn
        except BaseException as error:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._release(caller, kind)  # the turn came together with the end of the patience
            else:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise self._busy(caller, kind) from None
            raise

    def _queue_is_full(self, caller: str) -> bool:
        if len(self._waiters) >= self._max_waiting:
            return True
        # One pass over a queue of at most max_waiting, only for who has to wait.
        return (
            _is_anonymous(caller) and 2 * sum(_is_anonymous(one.caller) for one in self._waiters) >= self._max_waiting
        )

    def _busy(self, caller: str, kind: Kind) -> GitBusy:
        is_own = not _is_anonymous(caller) or self._fits_anonymous(kind)
        if caller and is_own and self._free and self._free_of[kind]:
            said = f"{self._held[caller]} of your git operations run on this node already; try again when one is done"
        else:
            said = "this node is busy with other git operations; try again in a moment"
        return GitBusy(said, retry_after_seconds=BUSY_RETRY_SECONDS)

    def _take(self, caller: str, kind: Kind) -> None:
        self._free -= 1
        self._held[caller] += 1
        self._free_of[kind] -= 1
        self._held_of[kind][caller] += 1
        self._held_by_anonymous[kind] += _is_anonymous(caller)

    def _release(self, caller: str, kind: Kind) -> None:
        self._free += 1
        _less(self._held, caller)
        self._free_of[kind] += 1
        _less(self._held_of[kind], caller)
        self._held_by_anonymous[kind] -= _is_anonymous(caller)
        self._call_next()

    def _call_next(self) -> None:
        """Give what is free to those who waited longest, passing over who may not have more yet."""
        for waiter in list(self._waiters):
            if not self._free:
                return
            if not waiter.turn.done() and self._fits(waiter.caller, waiter.kind):
                self._take(waiter.caller, waiter.kind)
                self._waiters.remove(waiter)
                waiter.turn.set_result(None)


def _is_anonymous(caller: str) -> bool:
    return caller.startswith(ANONYMOUS)


def _less(held: Counter[str], caller: str) -> None:
    held[caller] -= 1
    if not held[caller]:
        del held[caller]
