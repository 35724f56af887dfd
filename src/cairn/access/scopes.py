"""What an action is done to, reduced to what the rule needs to know."""

from dataclasses import dataclass

from cairn.access.roles import Role, Visibility


@dataclass(frozen=True, slots=True)
class RepositoryScope:
    """One repository as one actor meets it: ``role`` is that actor's grant, None without one."""

    repository_id: int
    owner_id: int
    visibility: Visibility
    role: Role | None
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class AccountScope:
    """One account."""

    account_id: int


@dataclass(frozen=True, slots=True)
class SiteScope:
    """The installation."""


SITE = SiteScope()
Scope = RepositoryScope | AccountScope | SiteScope
