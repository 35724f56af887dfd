"""Facts about repositories. ``repository_id`` tells the event table whose they are."""

from cairn.events.types import Event


class RepositoryCreated(Event, frozen=True):
    """A repository exists, empty so far."""

    repository_id: int
    owner_id: int
    full_name: str
    actor_id: int | None


class RepositoryDeleted(Event, frozen=True):
    """A repository is absent for everybody, for some days it can be restored; its name is free."""

    repository_id: int
    owner_id: int
    full_name: str
    actor_id: int | None


class RepositoryRestored(Event, frozen=True):
    """A deleted repository is back, with everything it had, under the name it has now."""

    repository_id: int
    owner_id: int
    full_name: str
    actor_id: int | None


class RepositoryErased(Event, frozen=True):
    """A deleted repository is gone for good."""

    repository_id: int
    owner_id: int
    full_name: str
    actor_id: int | None


class RepositoryForked(Event, frozen=True):
    """Somebody forked a repository; ``fork_id`` is the new one, which has its parent's refs or will have them soon."""

    repository_id: int
    fork_id: int
    fork_full_name: str
    actor_id: int | None


class RepositoryRenamed(Event, frozen=True):
    """A repository has another name; the old one redirects."""

    repository_id: int
    old_full_name: str
    new_full_name: str
    actor_id: int | None


class RepositoryEdited(Event, frozen=True):
    """Settings of a repository changed; ``changes`` has field name to [before, after], as text."""

    repository_id: int
    changes: dict[str, tuple[str, str]]
    actor_id: int | None


class StarChanged(Event, frozen=True):
    """Somebody starred a repository, or took the star back."""

    repository_id: int
    is_starred: bool
    actor_id: int | None


class WatchChanged(Event, frozen=True):
    """Somebody wants to hear more or less of a repository; ``level`` is one of ``life.models.WatchLevel``."""

    repository_id: int
    level: str
    actor_id: int | None


class TopicsChanged(Event, frozen=True):
    """A repository is about something else now."""

    repository_id: int
    old_topics: tuple[str, ...]
    new_topics: tuple[str, ...]
    actor_id: int | None


class CollaboratorChanged(Event, frozen=True):
    """Somebody's role on a repository changed; an empty text is no role."""

    repository_id: int
    account_id: int
    old_role: str
    new_role: str
    actor_id: int | None


class TeamGrantChanged(Event, frozen=True):
    """A team's role on a repository changed; an empty text is no role."""

    repository_id: int
    team_id: int
    old_role: str
    new_role: str
    actor_id: int | None


class RepositoryTransferred(Event, frozen=True):
    """A repository belongs to another account; the old address redirects."""

    repository_id: int
    old_owner_id: int
    new_owner_id: int
    old_full_name: str
    new_full_name: str
    actor_id: int | None


class TransferOffered(Event, frozen=True):
    """A person is asked whether they take a repository; nothing has moved yet."""

    repository_id: int
    new_owner_id: int
    actor_id: int | None


class TransferClosed(Event, frozen=True):
    """A transfer waits no longer; ``outcome`` is ``accepted``, ``declined``, ``cancelled`` or ``expired``."""

    repository_id: int
    new_owner_id: int
    outcome: str
    actor_id: int | None


class DeployKeyAdded(Event, frozen=True):
    """A public key opens a repository, to read or also to push."""

    repository_id: int
    key_id: int
    fingerprint: str
    can_write: bool
    actor_id: int | None


class DeployKeyDeleted(Event, frozen=True):
    """A public key no longer opens a repository."""

    repository_id: int
    key_id: int
    fingerprint: str
    actor_id: int | None


class RulesetChanged(Event, frozen=True):
    """A ruleset was ``created``, ``edited`` or ``deleted``: a repository's, or one for all that ``owner_id`` owns."""

    repository_id: int | None
    owner_id: int
    ruleset_id: int
    name: str
    change: str
    actor_id: int | None


class Pushed(Event, frozen=True):
    """One ref moved: by a push, a web edit, a merge. Forty zeros stand for "did not exist" and "is gone".

    ``ref`` is the full name as text; for a name that is no UTF-8 it has replacements, and ``ref_base64`` the bytes.
    """

    repository_id: int
    ref: str
    old_oid: str
    new_oid: str
    actor_id: int | None
    actor: str
    ref_base64: str = ""
