"""Every call to the store goes through here: the only retries, deadlines, breaker and counts there are."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from opendal import AsyncOperator
from opendal.layers import RetryLayer, TimeoutLayer

from cairn.base.errors import CairnError
from cairn.base.log import get_logger
from cairn.base.patience import seconds_left, waiting
from cairn.storage.breaker import Breaker, BreakerState
from cairn.storage.counters import StorageCounters
from cairn.storage.errors import (
    OPENDAL_ERRORS,
    StorageCorrupt,
    StorageRefused,
    StorageUnavailable,
    explain,
    unavailable,
)

RETRIES_MAX = 9
"""Of a store that fails for three requests in ten, ten attempts fail together once in 170,000 calls."""
FIRST_PAUSE_SECONDS = 0.05
PAUSE_SECONDS_MAX = 0.25
PART_BYTES = 8 << 20
"""One part of a multipart upload, and what one write of a stream may have to wait for."""
SLOWEST_BYTES_PER_SECOND = 1 << 20
"""A transfer gets its deadline and a second more for each so many bytes."""
FAILURES = (StorageUnavailable, StorageCorrupt, StorageRefused)

T = TypeVar("T")
log = get_logger("storage")


class Calls:
    """Admits, limits, repeats and counts calls to one backend.

    ``deadline_seconds`` is for a whole call with its retries; an attempt has half of it, so that one lost answer
    still leaves time for another attempt. Local backends are asked once and have no breaker: a full disk must not
    keep anybody from reading.
    """

    def __init__(self, *, deadline_seconds: float, is_remote: bool) -> None:
        self.deadline_seconds = deadline_seconds
        self.counters = StorageCounters()
        self.breaker = Breaker()
        self.probe: Callable[[], Awaitable[None]] | None = None
        """A small request that shows whether the backend answers."""
        self._probing = asyncio.Lock()
        self._is_remote = is_remote
        self._attempt_seconds = deadline_seconds / 2 if is_remote else deadline_seconds
        self._retries = RETRIES_MAX if is_remote else 0

    async def run(self, operation: str, key: str, attempt: Callable[[], Awaitable[T]], *, transfer_bytes: int = 0) -> T:
        """Return what ``attempt()`` returns, tried again while that may help, within the deadline."""
        more = transfer_bytes / SLOWEST_BYTES_PER_SECOND
        await self.admit(operation)
        granted = seconds_left(self.deadline_seconds)
        # A request that has spent its time elsewhere and gives up early says nothing about the backend.
        with self.guarded(operation, key, blames=granted >= self._attempt_seconds):
            # Bytes that flow are progress: a transfer is held to what the request has left, and takes nothing from it.
            async with asyncio.timeout(granted + more) if transfer_bytes else waiting(granted):
                return await self._repeat(operation, key, attempt, self._attempt_seconds + more)

    async def step(
        self, operation: str, key: str, call: Callable[[], Awaitable[T]], *, transfer_bytes: int, proves: bool
    ) -> T:
        """Return what one step of a stream returns, once, within the deadline of a step.

        The stream was admitted before; only a step that ``proves`` that the backend answers may close the breaker.
        """
        more = transfer_bytes / SLOWEST_BYTES_PER_SECOND
        with self.guarded(operation, key, proves=proves):
            async with asyncio.timeout(self.deadline_seconds + more):
                return await call()

    async def admit(self, operation: str) -> None:
        """Let a call through and count it, or raise StorageUnavailable while the backend is left alone.

        When it was left alone for long enough, one caller asks it a small thing and the others wait for the answer.
        The call itself is no probe: it may be one of several that a request makes side by side, and where one of them
        is refused the others are given up, so that no such request would ever get an answer.
        """
        if self.breaker.state is BreakerState.HALF_OPEN:
            await self._prove(operation)
        try:
            self.breaker.admit(operation)
        except StorageUnavailable:
            self.counters.rejections[operation] += 1
            raise
        self.counters.calls[operation] += 1

    async def _prove(self, operation: str) -> None:
        """The backend was asked whether it answers, and the breaker knows."""
        granted = seconds_left(self._attempt_seconds)
        probe = self.probe
        assert probe is not None, "only a backend that can be asked has failures"
        with self.guarded(operation, "", blames=False, proves=False):
            async with waiting(), self._probing:
                if self.breaker.state is not BreakerState.HALF_OPEN:
                    return
                with suppress(CairnError), self.guarded("probe", "", blames=granted >= self._attempt_seconds):
                    async with asyncio.timeout(granted):
                        await probe()

    @contextmanager
    def guarded(self, operation: str, key: str, *, proves: bool = True, blames: bool = True) -> Iterator[None]:
        """Turn OpenDAL's errors inside the block into ours and tell the breaker how the block ended."""
        try:
            yield
        except CairnError as error:
            self._settle(operation, error)
            raise
        except TimeoutError:
            late = unavailable(operation, "no answer in time")
            raise (self._settle(operation, late) if blames else late) from None
        except OPENDAL_ERRORS as error:
            raise self._settle(operation, explain(error, operation=operation, key=key)[0]) from error
        if proves:
            self.breaker.succeeded()

    def with_part_retries(self, operator: AsyncOperator) -> AsyncOperator:
        """Return the operator for uploads in parts: a part can only be sent again from within OpenDAL."""
        if not self._is_remote:
            return operator
        seconds = self._attempt_seconds + PART_BYTES / SLOWEST_BYTES_PER_SECOND
        limited = operator.layer(TimeoutLayer(timeout=seconds, io_timeout=seconds))
        return limited.layer(
            RetryLayer(
                max_times=RETRIES_MAX,
                factor=2.0,
                jitter=True,
                min_delay=FIRST_PAUSE_SECONDS,
                max_delay=PAUSE_SECONDS_MAX,
            )
        )

    async def _repeat(self, operation: str, key: str, attempt: Callable[[], Awaitable[T]], attempt_seconds: float) -> T:
        for retry in range(self._retries + 1):
            try:
                async with asyncio.timeout(attempt_seconds):
                    return await attempt()
            except TimeoutError:
                error: CairnError = unavailable(operation, "no answer in time")
                if retry == self._retries:
                    raise error from None
            except OPENDAL_ERRORS as cause:
                error, may_help = explain(cause, operation=operation, key=key)
                if not may_help or retry == self._retries:
                    raise error from cause
            if self.breaker.state is BreakerState.OPEN:
                raise error  # others found out meanwhile: more attempts would only add to the load
            self.counters.retries[operation] += 1
            pause = min(FIRST_PAUSE_SECONDS * 2**retry, PAUSE_SECONDS_MAX)
            await asyncio.sleep(random.uniform(pause / 2, pause * 1.5))  # noqa: S311 spreads load, hides nothing
        raise AssertionError("the last attempt returns or raises")

    def _settle(self, operation: str, error: CairnError) -> CairnError:
        if isinstance(error, FAILURES):
            self.counters.failures[operation] += 1
            log.warning("storage_call_failed", operation=operation, error=error.message)
        if isinstance(error, StorageUnavailable):
            if self._is_remote:
                self.breaker.failed()
        else:
            self.breaker.succeeded()  # the backend answered; that the answer was no is the caller's matter
        return error
