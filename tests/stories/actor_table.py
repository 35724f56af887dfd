"""What each kind of actor may do, as a table of its own: written down from the documentation, not read from the rule.

An action that is missing here stops the walk (``tests/stories/test_every_actor.py``) with a KeyError.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum


class Rank(IntEnum):
    """What somebody is to a repository, weakest first."""

    NOBODY = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5


class Place(IntEnum):
    """What somebody is to an organization, or to a team: maintaining a team is as owning it."""

    NONE = 0
    MEMBER = 1
    OWNER = 2


class Verdict(Enum):
    """What must come back."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Token:
    """What a token leaves. ``scopes`` of a classic one with all that they imply; ``permissions`` of a fine-grained one.

    ``reaches``: the repositories of the walk are among those it was made for; ``is_single``: it was made for some only.
    """

    scopes: frozenset[str] = frozenset()
    permissions: frozenset[str] | None = None
    reaches: bool = True
    is_single: bool = False


@dataclass(frozen=True)
class Asker:
    """One way of asking."""

    name: str
    rank: Rank = Rank.NOBODY
    place: Place = Place.NONE
    in_team: Place = Place.NONE
    administers: bool = False
    """The site, with everything this way of asking leaves of that."""
    is_known: bool = True
    is_refused: bool = False
    """A credential that opens nothing, not even what is public."""
    token: Token | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Needs:
    """What an action wants: a rank, a place, and of tokens one of the scopes or the permission."""

    rank: Rank = Rank.NOBODY
    place: Place = Place.NONE
    scopes: frozenset[str] = frozenset()
    permission: str = ""
    single_may: bool = False
    """A token for single repositories may do it elsewhere too, for it only reads."""


def _of(text: str) -> frozenset[str]:
    return frozenset(text.split())


REPOSITORY = {
    "repository:see": Needs(Rank.READ, scopes=_of("repo"), permission="metadata:read"),
    "repository:read": Needs(Rank.READ, scopes=_of("repo"), permission="contents:read"),
    "repository:triage": Needs(Rank.TRIAGE, scopes=_of("repo public_repo"), permission="issues:write"),
    "repository:push": Needs(Rank.WRITE, scopes=_of("repo public_repo"), permission="contents:write"),
    "repository:maintain": Needs(Rank.MAINTAIN, scopes=_of("repo public_repo"), permission="administration:write"),
    "repository:administer": Needs(Rank.ADMIN, scopes=_of("repo public_repo"), permission="administration:write"),
    "repository:read_keys": Needs(Rank.ADMIN, scopes=_of("repo public_repo"), permission="administration:read"),
    "repository:edit_keys": Needs(Rank.ADMIN, scopes=_of("repo public_repo"), permission="administration:write"),
    "repository:transfer": Needs(Rank.ADMIN, scopes=_of("repo public_repo"), permission="administration:write"),
    "repository:delete": Needs(Rank.ADMIN, scopes=_of("delete_repo"), permission="administration:write"),
}
_READ_ORG, _WRITE_ORG = _of("admin:org write:org read:org"), _of("admin:org write:org")
ORGANIZATION = {
    "organization:read": Needs(),
    "organization:read_private": Needs(
        place=Place.MEMBER, scopes=_READ_ORG, permission="members:read", single_may=True
    ),
    "organization:leave": Needs(place=Place.MEMBER, scopes=_WRITE_ORG, permission="members:write"),
    "organization:edit_members": Needs(place=Place.OWNER, scopes=_WRITE_ORG, permission="members:write"),
    "organization:edit": Needs(
        place=Place.OWNER, scopes=_of("admin:org"), permission="organization_administration:write"
    ),
    "organization:delete": Needs(
        place=Place.OWNER, scopes=_of("admin:org"), permission="organization_administration:write"
    ),
    "team:create": Needs(place=Place.MEMBER, scopes=_WRITE_ORG, permission="members:write"),
    "repository:restore": Needs(place=Place.OWNER, scopes=_of("repo"), permission="administration:write"),
    # In an organization that lets its members.
    "repository:create": Needs(place=Place.MEMBER, scopes=_of("repo public_repo"), permission="administration:write"),
}
TEAM = {
    "team:read": Needs(place=Place.MEMBER, scopes=_READ_ORG, permission="members:read", single_may=True),
    "team:edit": Needs(place=Place.OWNER, scopes=_WRITE_ORG, permission="members:write"),
}


DELETING_A_TEAM = "team:delete"
"""No action of its own, but no maintainer's either: routes are declared for editing, owners alone get through."""


def on_repository(action: str, asker: Asker, *, is_private: bool, is_reading: bool) -> Verdict:
    """Return what must come of an action on a repository of the organization. ``is_reading``: GET, HEAD or a fetch."""
    needs, token = REPOSITORY[action], asker.token
    rank = Rank.ADMIN if asker.administers else asker.rank
    reaches = token is None or (token.reaches and (token.permissions is not None or "repo" in token.scopes))
    if is_private and (rank is Rank.NOBODY or not reaches or not asker.is_known):
        return Verdict.HIDDEN
    reads = action in {"repository:see", "repository:read"}
    if reads and not is_private and (is_reading or asker.is_known):
        return Verdict.ALLOWED
    if not asker.is_known or rank < needs.rank:
        return Verdict.REFUSED
    return Verdict.ALLOWED if token is None or _carries(token, needs, is_private=is_private) else Verdict.REFUSED


def on_organization(action: str, asker: Asker) -> Verdict:
    """Return what must come of an action on the organization."""
    needs = ORGANIZATION[action]
    if needs == Needs():
        return Verdict.ALLOWED
    place = Place.OWNER if asker.administers else asker.place
    if not asker.is_known or place < needs.place:
        return Verdict.REFUSED
    return Verdict.ALLOWED if _carries_for_organization(asker.token, needs) else Verdict.REFUSED


def on_team(action: str, asker: Asker) -> Verdict:
    """Return what must come of an action on a team that all members see."""
    place = Place.OWNER if asker.administers else asker.place
    if not asker.is_known or place is Place.NONE or not _carries_for_organization(asker.token, TEAM["team:read"]):
        return Verdict.HIDDEN
    is_deletion = action == DELETING_A_TEAM
    needs = TEAM["team:edit" if is_deletion else action]
    if (place if is_deletion else max(place, asker.in_team)) < needs.place:
        return Verdict.REFUSED
    return Verdict.ALLOWED if _carries_for_organization(asker.token, needs) else Verdict.REFUSED


def _carries(token: Token, needs: Needs, *, is_private: bool) -> bool:
    if not token.reaches:
        return False
    if token.permissions is not None:
        return needs.permission in token.permissions
    return bool(token.scopes & (needs.scopes - {"public_repo"} if is_private else needs.scopes))


def _carries_for_organization(token: Token | None, needs: Needs) -> bool:
    if token is None:
        return True
    if token.is_single and not needs.single_may:
        return False
    if token.permissions is not None:
        return needs.permission in token.permissions
    return bool(token.scopes & needs.scopes)
