"""The actor: whoever asks. Doors make one by authenticating; domain functions authorize it."""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """Where the actor's rights come from."""

    ANONYMOUS = "anonymous"
    USER = "user"
    DEPLOY_KEY = "deploy key"
    """A machine with the key of one repository."""
    SYSTEM = "system"
    """Cairn itself: jobs and the command line of an operator with the database's password."""


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token leaves of its owner's rights; absence of a scope or permission is absence of the right.

    ``repository_ids`` None means every repository the owner reaches; an empty set means none. A classic token has
    GitHub's ``scopes`` as written on it and ``permissions`` None. A fine-grained one has no scopes but ``permissions``
    (``contents:read``; the stronger level brings the weaker along) on what belongs to the account ``owner_id``.
    """

    scopes: frozenset[str]
    repository_ids: frozenset[int] | None = None
    token_id: int | None = None
    owner_id: int | None = None
    permissions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class DeployKey:
    """What a deploy key opens: one repository, to read or also to push."""

    key_id: int
    repository_id: int
    can_write: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``limits`` is None for a person at the keyboard (session, password, SSH key).

    ``deploy_key`` stands for kind DEPLOY_KEY, which has no account.
    """

    kind: ActorKind
    account_id: int | None = None
    login: str | None = None
    is_site_admin: bool = False
    is_suspended: bool = False
    limits: TokenLimits | None = None
    deploy_key: DeployKey | None = None

    @property
    def is_signed_in(self) -> bool:
        """True for a user, suspended or not; False for anonymous, deploy keys and system."""
        return self.kind is ActorKind.USER

    @property
    def is_anonymous(self) -> bool:
        """True for who showed nothing at all: signing in could help."""
        return self.kind is ActorKind.ANONYMOUS

    @property
    def label(self) -> str:
        """A short name for logs, the ref log and audit rows; never a secret."""
        if self.deploy_key is not None:
            return f"{self.kind.value} {self.deploy_key.key_id}"
        return self.login or self.kind.value


ANONYMOUS = Actor(ActorKind.ANONYMOUS)
SYSTEM = Actor(ActorKind.SYSTEM)
