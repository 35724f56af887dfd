"""Emitting an event: its row and one job row a subscriber, in the caller's transaction."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import now
from cairn.db.database import announce
from cairn.events.models import EventRow
from cairn.events.subscribers import Subscribers, subscribers
from cairn.events.types import Event, type_of
from cairn.jobs.queue import PAYLOAD_BYTES_MAX, TOPIC, new_job

EVENTS_TOPIC = "events"
"""What is announced when the event table has a new row."""


def emit(session: AsyncSession, event: Event, *, to: Subscribers = subscribers) -> None:
    """Write the event and its deliveries when the session flushes; they count if its transaction commits.

    An event holds ids and short facts: at most 64 KiB. What is long is read from its own table by who needs it.
    """
    body = msgspec.to_builtins(event, str_keys=True)
    size = len(msgspec.json.encode(event))
    assert size <= PAYLOAD_BYTES_MAX, f"an event holds ids and short facts, not {size} bytes"
    session.add(EventRow(type=type_of(type(event)), repository_id=event.repository_id, payload=body, at=now()))
    announce(session, EVENTS_TOPIC)
    for subscriber in to.to(event):
        is_sequence = subscriber.in_order and event.repository_id is not None
        sequence = f"{subscriber.kind}:{event.repository_id}" if is_sequence else None
        session.add(new_job(subscriber.kind, body, sequence=sequence))
        announce(session, TOPIC)
