"""Roles: named sets of actions, ordered; and visibility, the role everybody has."""

from enum import StrEnum

from cairn.access.actions import Action


class Visibility(StrEnum):
    """Who may read a repository without a grant."""

    PUBLIC = "public"
    INTERNAL = "internal"
    """Everybody signed in."""
    PRIVATE = "private"


class Role(StrEnum):
    """What a grant gives on a repository; each includes the ones before it. GitHub's API says pull and push."""

    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


class BasePermission(StrEnum):
    """The role every member of an organization has on its repositories."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class OrganizationRole(StrEnum):
    """What somebody is in an organization; an owner may everything there."""

    MEMBER = "member"
    OWNER = "owner"


class TeamRole(StrEnum):
    """What somebody is in a team; a maintainer changes the team and its members."""

    MEMBER = "member"
    MAINTAINER = "maintainer"


class TeamPrivacy(StrEnum):
    """Who sees a team: all members of the organization, or only its own and the owners."""

    CLOSED = "closed"
    SECRET = "secret"  # noqa: S105 (a privacy)


_OWN: dict[Role, frozenset[Action]] = {
    Role.READ: frozenset({Action.REPOSITORY_SEE, Action.REPOSITORY_READ}),
    Role.TRIAGE: frozenset({Action.REPOSITORY_TRIAGE}),
    Role.WRITE: frozenset({Action.REPOSITORY_PUSH}),
    Role.MAINTAIN: frozenset({Action.REPOSITORY_MAINTAIN}),
    Role.ADMIN: frozenset(
        {
            Action.REPOSITORY_ADMINISTER,
            Action.REPOSITORY_READ_KEYS,
            Action.REPOSITORY_EDIT_KEYS,
            Action.REPOSITORY_TRANSFER,
            Action.REPOSITORY_DELETE,
        }
    ),
}

_ORDER = list(Role)
RANKS: dict[Role, int] = {role: rank for rank, role in enumerate(_ORDER, start=1)}
"""The order of the roles as numbers, for SQL: the stronger, the greater."""

ACTIONS_OF_ROLE: dict[Role, frozenset[Action]] = {
    role: frozenset().union(*(_OWN[lower] for lower in _ORDER[: index + 1])) for index, role in enumerate(_ORDER)
}

ACTIONS_OF_MEMBERS = frozenset({Action.ORGANIZATION_READ_PRIVATE, Action.ORGANIZATION_LEAVE})
"""What every member of an organization may do; owners may everything there."""


def roles_with(action: Action) -> list[Role]:
    """Return the roles that contain an action, weakest first."""
    return [role for role in _ORDER if action in ACTIONS_OF_ROLE[role]]


def strongest(*roles: Role | None) -> Role | None:
    """Return the strongest of some grants; None if there is none among them."""
    return max((role for role in roles if role is not None), key=RANKS.__getitem__, default=None)
