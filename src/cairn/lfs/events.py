"""Facts about large objects. ``repository_id`` tells the event table whose they are."""

from cairn.events.types import Event


class LfsLockForced(Event, frozen=True):
    """Somebody released a lock that another person held."""

    repository_id: int
    path: str
    owner_id: int
    actor_id: int | None
