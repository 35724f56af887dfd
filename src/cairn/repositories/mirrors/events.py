"""Facts about mirrors; an ``url`` holds no credentials."""

from cairn.events.types import Event


class MirrorMade(Event, frozen=True):
    """A repository follows another one (``is_pull``), or is followed by it."""

    repository_id: int
    mirror_id: int
    url: str
    is_pull: bool
    actor_id: int | None


class MirrorRemoved(Event, frozen=True):
    """It no longer does; what it has stays."""

    repository_id: int
    mirror_id: int
    url: str
    is_pull: bool
    actor_id: int | None


class MirrorSynced(Event, frozen=True):
    """A sync went well and changed ``moved`` refs; one that found nothing to do tells nobody."""

    repository_id: int
    mirror_id: int
    url: str
    is_pull: bool
    moved: int
    skipped: int


class MirrorFailed(Event, frozen=True):
    """A sync failed; ``reason`` is a sentence for people. ``is_paused``: it failed so often that it stops trying."""

    repository_id: int
    mirror_id: int
    url: str
    is_pull: bool
    reason: str
    is_paused: bool
