"""Facts about wikis."""

from cairn.events.types import Event


class WikiChanged(Event, frozen=True):
    """A branch or tag of a repository's wiki moved: by a push, or by an edit on the web."""

    repository_id: int
    ref: str
    old_oid: str
    new_oid: str
    actor_id: int | None
    actor: str
