"""Facts about imports."""

from cairn.events.types import Event


class ImportStarted(Event, frozen=True):
    """Somebody asked for a repository from elsewhere; ``url`` holds no credentials."""

    repository_id: int
    url: str
    actor_id: int | None


class ImportFinished(Event, frozen=True):
    """Everything that was asked for has come."""

    repository_id: int
    url: str
    actor_id: int | None


class ImportFailed(Event, frozen=True):
    """An import ended before its end; ``reason`` is a sentence for people."""

    repository_id: int
    url: str
    reason: str
    actor_id: int | None
