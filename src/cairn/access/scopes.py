"""What an action is done to, reduced to what the rule needs to know."""

from dataclasses import dataclass

from cairn.access.roles import OrganizationRole, Role, TeamPrivacy, TeamRole, Visibility


@dataclass(frozen=True, slots=True)
class RepositoryScope:
    """One repository as one actor meets it.

    ``role`` is the strongest role that a grant, a team or the owning organization gives that actor; None without any.
    """

    repository_id: int
    owner_id: int
    visibility: Visibility
    role: Role | None
    is_archived: bool = False
    is_withheld: bool = False
    """Hidden from everybody but site administrators: a fork whose owner lost the private parent."""
    is_deleted: bool = False
    """Absent for everybody, the system too, until somebody restores it."""


@dataclass(frozen=True, slots=True)
class OrganizationScope:
    """One organization as one actor meets it: ``role`` is None for who is no member."""

    organization_id: int
    role: OrganizationRole | None
    members_can_create_repositories: bool = False
    members_can_create_teams: bool = False


@dataclass(frozen=True, slots=True)
class TeamScope:
    """One team as one actor meets it.

    ``role`` is what the actor is in it, through a child team too (then a member); None for others.
    """

    team_id: int
    organization_id: int
    privacy: TeamPrivacy
    organization_role: OrganizationRole | None
    role: TeamRole | None


@dataclass(frozen=True, slots=True)
class AccountScope:
    """One account."""

    account_id: int


@dataclass(frozen=True, slots=True)
class SiteScope:
    """The installation."""


SITE = SiteScope()
Scope = RepositoryScope | OrganizationScope | TeamScope | AccountScope | SiteScope
