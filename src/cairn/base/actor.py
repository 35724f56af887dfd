"""The actor: whoever asks. Doors make one by authenticating; domain functions authorize it."""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """Where the actor's rights come from."""

    ANONYMOUS = "anonymous"
    USER = "user"
    SYSTEM = "system"
    """Cairn itself: jobs and the command line of an operator with the database's password."""


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token leaves of its owner's rights; absence of a scope is absence of the right.

    ``scopes`` are GitHub's classic scope names as written on the token. ``repository_ids`` None means every
    repository the owner reaches; an empty set means none.
    """

    scopes: frozenset[str]
    repository_ids: frozenset[int] | None = None
    token_id: int | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``limits`` is None for a person at the keyboard (session, password, SSH key)."""

    kind: ActorKind
    account_id: int | None = None
    login: str | None = None
    is_site_admin: bool = False
    is_suspended: bool = False
    limits: TokenLimits | None = None

    @property
    def is_signed_in(self) -> bool:
        """True for a user, suspended or not; False for anonymous and system."""
        return self.kind is ActorKind.USER

    @property
    def label(self) -> str:
        """A short name for logs, the ref log and audit rows; never a secret."""
        return self.login or self.kind.value


ANONYMOUS = Actor(ActorKind.ANONYMOUS)
SYSTEM = Actor(ActorKind.SYSTEM)
