"""Roles: named sets of actions on one repository, ordered; and visibility, the role everybody has."""

from enum import StrEnum

from cairn.access.actions import Action


class Visibility(StrEnum):
    """Who may read a repository without a grant."""

    PUBLIC = "public"
    INTERNAL = "internal"
    """Everybody signed in."""
    PRIVATE = "private"


class Role(StrEnum):
    """What a grant gives; each includes the ones before it. GitHub's API calls read ``pull`` and write ``push``."""

    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


_OWN: dict[Role, frozenset[Action]] = {
    Role.READ: frozenset({Action.REPOSITORY_READ}),
    Role.TRIAGE: frozenset(),
    Role.WRITE: frozenset({Action.REPOSITORY_PUSH}),
    Role.MAINTAIN: frozenset({Action.REPOSITORY_MAINTAIN}),
    Role.ADMIN: frozenset({Action.REPOSITORY_ADMINISTER, Action.REPOSITORY_DELETE}),
}

_ORDER = list(Role)

ACTIONS_OF_ROLE: dict[Role, frozenset[Action]] = {
    role: frozenset().union(*(_OWN[lower] for lower in _ORDER[: index + 1])) for index, role in enumerate(_ORDER)
}


def roles_with(action: Action) -> list[Role]:
    """Return the roles that contain an action, weakest first."""
    return [role for role in _ORDER if action in ACTIONS_OF_ROLE[role]]
