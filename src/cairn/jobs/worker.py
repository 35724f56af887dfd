"""The worker's loop: claim, run with a heartbeat, give back."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.db.database import Database, DatabaseAway
from cairn.jobs.context import JobContext, LeaseLost, Services
from cairn.jobs.lease import Claim, claim, fail, finish, is_any_due, release, renew
from cairn.jobs.queue import TOPIC
from cairn.jobs.registry import Registry, registry
from cairn.jobs.schedules import run_schedules
from cairn.jobs.wake import POLL_SECONDS, Wakeups

AWAY_SECONDS_MAX = 5.0
_BEATS_PER_LEASE = 3
_GIVE_BACK_ATTEMPTS = 4
_RELEASE_SECONDS = 5

_log = get_logger(__name__)
T = TypeVar("T")


async def run_worker(
    database: Database,
    services: Services,
    *,
    concurrency: int,
    stop: asyncio.Event,
    wakeups: Wakeups,
    drain_seconds: float,
    jobs: Registry = registry,
) -> None:
    """Do jobs and enqueue recurring ones until ``stop`` is set, ``concurrency`` at a time.

    Then the running jobs get ``drain_seconds`` to end; what is not done by then waits again, for another worker. A
    database that is away is waited for.
    """
    worker = _Worker(database, services, jobs, concurrency)
    async with asyncio.TaskGroup() as tasks:
        schedules = tasks.create_task(run_schedules(database, jobs))
        try:
            await worker.run(stop, wakeups, drain_seconds)
        finally:
            schedules.cancel()


class _Worker:
    def __init__(self, database: Database, services: Services, jobs: Registry, concurrency: int) -> None:
        self._database = database
        self._services = services
        self._jobs = jobs
        self._concurrency = concurrency
        self._holder = random_id()
        self._running: set[asyncio.Task[None]] = set()
        self._away_seconds = 0.0

    async def run(self, stop: asyncio.Event, wakeups: Wakeups, drain_seconds: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            with wakeups.listening(TOPIC) as woken:
                stopping = tasks.create_task(_forward(stop, woken))
                while not stop.is_set():
                    woken.clear()
                    free = self._concurrency - len(self._running)
                    claims = await self._claim(free) if free else []
                    for held in claims:
                        self._start(tasks, held, woken)
                    if len(claims) < free or not free:
                        await _wait(woken, POLL_SECONDS + self._away_seconds)
                stopping.cancel()
            await self._drain(drain_seconds)

    def _start(self, tasks: asyncio.TaskGroup, held: Claim, woken: asyncio.Event) -> None:
        task = tasks.create_task(self._do(held))
        self._running.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._running.discard(done)
            woken.set()

        task.add_done_callback(ended)

    async def _drain(self, drain_seconds: float) -> None:
        if self._running:
            _log.info("draining", jobs=len(self._running), seconds=drain_seconds)
            await asyncio.wait(self._running, timeout=drain_seconds)
        for task in self._running:
            task.cancel()

    async def _claim(self, limit: int) -> list[Claim]:
        try:
            if self._database.dialect == "sqlite":
                async with self._database.read() as session:
                    if not await is_any_due(session, self._jobs):
                        return []
            async with self._database.write() as session:
                claims = await claim(session, self._jobs, holder=self._holder, limit=limit)
        except DatabaseAway as error:
            self._away_seconds = min(AWAY_SECONDS_MAX, 2 * self._away_seconds + 0.5)
            _log.warning("database_away", reason=error.message, retry_in_seconds=POLL_SECONDS + self._away_seconds)
            return []
        self._away_seconds = 0.0
        return claims

    async def _do(self, held: Claim) -> None:
        with structlog.contextvars.bound_contextvars(job_id=held.job_id, kind=held.handler.kind):
            started = time.monotonic()
            try:
                error = await self._attempt(held)
                if error is None:
                    await self._give_back(lambda session: finish(session, held))
                    _log.info("job_done", attempt=held.attempt, seconds=round(time.monotonic() - started, 3))
                    return
                is_dead = await self._give_back(lambda session: fail(session, held, error))
                _log.error("job_dead" if is_dead else "job_failed", attempt=held.attempt, error=error)
            except LeaseLost as lost:
                _log.warning("lease_lost", reason=lost.message)
            except DatabaseAway as away:
                # The lease runs out, and whoever takes the job then does it again.
                _log.warning("job_not_given_back", reason=away.message)
            except asyncio.CancelledError:
                await self._release(held)
                raise

    async def _attempt(self, held: Claim) -> str | None:
        """Run the handler beside its heartbeat; return what went wrong, or None. LeaseLost passes."""
        context = JobContext(self._database, held.job_id, held.fencing, held.attempt, self._services)
        try:
            async with asyncio.TaskGroup() as tasks:
                heartbeat = tasks.create_task(self._heartbeat(held))
                async with asyncio.timeout(held.handler.deadline_seconds):
                    await held.handler(context, held.payload)
                heartbeat.cancel()
        except Exception as raised:
            error = _innermost(raised)
            if isinstance(error, LeaseLost):
                raise error from None
            return "".join(traceback.format_exception(error))
        return None

    async def _heartbeat(self, held: Claim) -> None:
        lease_seconds = held.handler.lease_seconds
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(lease_seconds / _BEATS_PER_LEASE)
            try:
                started_at = time.monotonic()
                async with self._database.write() as session:
                    await renew(session, held)
                renewed_at = started_at
            except DatabaseAway:
                if time.monotonic() - renewed_at >= lease_seconds:
                    raise LeaseLost(f"Job {held.job_id} could not renew its lease in {lease_seconds} s.") from None

    async def _give_back(self, change: Callable[[AsyncSession], Awaitable[T]]) -> T:
        for attempt in range(1, _GIVE_BACK_ATTEMPTS + 1):
            try:
                return await self._database.write_retrying(change)
            except DatabaseAway:
                if attempt == _GIVE_BACK_ATTEMPTS:
                    raise
            await asyncio.sleep(0.5 * 2**attempt)
        raise AssertionError("unreachable")

    async def _release(self, held: Claim) -> None:
        try:
            async with asyncio.timeout(_RELEASE_SECONDS), self._database.write() as session:
                await release(session, held)
        except (LeaseLost, DatabaseAway, TimeoutError) as error:
            _log.warning("job_not_released", reason=str(error))  # its lease runs out


def _innermost(error: BaseException) -> BaseException:
    """Return the one error that a task group wrapped; LeaseLost wins over what its cancelling caused."""
    while isinstance(error, BaseExceptionGroup):
        errors = error.exceptions
        error = next((each for each in errors if isinstance(each, LeaseLost)), errors[0])
    return error


async def _forward(stop: asyncio.Event, woken: asyncio.Event) -> None:
    await stop.wait()
    woken.set()


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        pass
