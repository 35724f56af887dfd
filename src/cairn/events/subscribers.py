"""Who wants to hear which events. Every program that changes something imports the features' subscribers.

Promise: a subscriber gets each event at least once, only after the commit that made it true, never an event that was
rolled back. ``in_order``: the events of one repository one at a time, in the order of their ids, a failing one holding
up those after it until it is done or dead. That is the order in which they became true wherever the transactions that
emitted them excluded each other before they emitted: pushes do (they hold the lock of their repository's store). Events
of unrelated transactions (two comments at the same moment) have no such order to keep.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from cairn.events.types import Event, type_of
from cairn.git.fail_points import Step, fail_point
from cairn.jobs.context import JobContext
from cairn.jobs.registry import ATTEMPTS_MAX, DEADLINE_SECONDS, LEASE_SECONDS, Handler, Registry, registry

KIND = "event:"

Receive = Callable[[JobContext, Any], Awaitable[None]]
R = TypeVar("R", bound=Receive)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One receiver of events, with a name that stays: it is part of job rows."""

    name: str
    in_order: bool

    @property
    def kind(self) -> str:
        """The kind of its jobs."""
        return KIND + self.name


class Subscribers:
    """Subscribers by event type."""

    def __init__(self, jobs: Registry) -> None:
        self._jobs = jobs
        self._of: dict[str, list[Subscriber]] = {}

    def to(self, event: Event) -> list[Subscriber]:
        """Return who gets this event."""
        return self._of.get(type_of(type(event)), [])

    def subscribe(
        self,
        *types: type[Event],
        name: str,
        in_order: bool = False,
        attempts_max: int = ATTEMPTS_MAX,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> Callable[[R], R]:
        """Register ``async def f(context, event)`` for these event types.

        It runs at least once an event: ``context.job_id`` is the same at every delivery of one event to it.
        """
        assert types, f"subscriber {name!r} wants no event"

        def register(receive: R) -> R:
            union: Any = types[0] if len(types) == 1 else _union(types)

            async def deliver(context: JobContext, payload: dict[str, object]) -> None:
                await fail_point(Step.BEFORE_DISPATCH)
                await receive(context, msgspec.convert(payload, union))

            subscriber = Subscriber(name, in_order)
            self._jobs.add(
                Handler(subscriber.kind, deliver, dict[str, object], LEASE_SECONDS, attempts_max, deadline_seconds)
            )
            for kind in types:
                self._of.setdefault(type_of(kind), []).append(subscriber)
            return receive

        return register


def _union(types: tuple[type[Event], ...]) -> Any:  # noqa: ANN401 (a typing form)
    union: Any = types[0]
    for kind in types[1:]:
        union = union | kind
    return union


subscribers = Subscribers(registry)
subscribe = subscribers.subscribe
