"""Which function does which kind of job, and what recurs. Features register at import; the worker reads.

``registry`` is the program's own; a test makes another.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, get_type_hints

import msgspec

from cairn.jobs.context import JobContext

Run = Callable[[JobContext, Any], Awaitable[None]]
RunScheduled = Callable[[JobContext], Awaitable[None]]
R = TypeVar("R", bound=Run)
S = TypeVar("S", bound=RunScheduled)

LEASE_SECONDS = 60
ATTEMPTS_MAX = 8
DEADLINE_SECONDS = 3600
SCHEDULE_KIND = "schedule:"


@dataclass(frozen=True, slots=True)
class Handler:
    """How jobs of one kind are done.

    ``lease_seconds`` is how long a worker may be silent before another takes the job; ``deadline_seconds`` how long one
    attempt may take. After ``attempts_max`` attempts the job is dead.
    """

    kind: str
    run: Run
    payload_type: Any
    lease_seconds: int
    attempts_max: int
    deadline_seconds: float

    async def __call__(self, context: JobContext, payload: object) -> None:
        """Do one job: parse its payload into the handler's own type and run."""
        await self.run(context, msgspec.convert(payload, self.payload_type))


class Registry:
    """Handlers by kind and schedules by name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._schedules: dict[str, timedelta] = {}

    @property
    def kinds(self) -> Collection[str]:
        """Every kind this process can do; jobs of other kinds wait for a process that can."""
        return self._handlers.keys()

    @property
    def schedules(self) -> dict[str, timedelta]:
        """Every recurring job: its name and how often it runs."""
        return dict(self._schedules)

    def __getitem__(self, kind: str) -> Handler:
        return self._handlers[kind]

    def handler(
        self,
        kind: str,
        *,
        lease_seconds: int = LEASE_SECONDS,
        attempts_max: int = ATTEMPTS_MAX,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> Callable[[R], R]:
        """Register ``async def f(context, payload)``; the annotation of ``payload`` is what it is parsed into.

        The function runs at least once a job: whatever it does twice must come to the same.
        """

        def register(run: R) -> R:
            hints = [hint for name, hint in get_type_hints(run).items() if name != "return"]
            self.add(Handler(kind, run, hints[1], lease_seconds, attempts_max, deadline_seconds))
            return run

        return register

    def scheduled(self, name: str, *, every: timedelta, deadline_seconds: float = DEADLINE_SECONDS) -> Callable[[S], S]:
        """Register ``async def f(context)`` to run ``every`` so often on one node of all, first at once."""

        def register(run: S) -> S:
            async def without_payload(context: JobContext, payload: dict[str, object]) -> None:
                await run(context)

            # What fails comes back with the next turn: retrying for long would only pile up.
            self.add(
                Handler(SCHEDULE_KIND + name, without_payload, dict[str, object], LEASE_SECONDS, 3, deadline_seconds)
            )
            self._schedules[name] = every
            return run

        return register

    def add(self, handler: Handler) -> None:
        """Register a handler made by hand; each kind has one."""
        assert handler.kind not in self._handlers, f"two handlers for {handler.kind!r}"
        self._handlers[handler.kind] = handler


registry = Registry()
handler = registry.handler
scheduled = registry.scheduled
