"""Facts about releases. ``tag`` is the tag as people read it."""

from cairn.events.types import Event


class ReleaseDrafted(Event, frozen=True):
    """Somebody wrote a release that is not published, or took one back: only those see it who may push."""

    repository_id: int
    release_id: int
    tag: str
    actor_id: int | None


class ReleasePublished(Event, frozen=True):
    """A release can be seen by all who read the repository."""

    repository_id: int
    release_id: int
    tag: str
    is_prerelease: bool
    actor_id: int | None


class ReleaseEdited(Event, frozen=True):
    """Tag, name, notes or state of a release changed; ``changes`` names which."""

    repository_id: int
    release_id: int
    tag: str
    changes: tuple[str, ...]
    actor_id: int | None


class ReleaseDeleted(Event, frozen=True):
    """A release is gone, its files with it; the tag stays unless it was deleted too."""

    repository_id: int
    release_id: int
    tag: str
    actor_id: int | None


class ReleaseAssetAdded(Event, frozen=True):
    """A release has one more file."""

    repository_id: int
    release_id: int
    asset_id: int
    name: str
    size: int
    actor_id: int | None


class ReleaseAssetDeleted(Event, frozen=True):
    """A release has a file less."""

    repository_id: int
    release_id: int
    asset_id: int
    name: str
    actor_id: int | None
