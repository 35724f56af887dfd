"""Owner names: what may be one, and which are kept free for Cairn's own paths and for names that would mislead."""

import re
from collections.abc import Iterable

from cairn.base.errors import FieldProblem, Invalid
from cairn.identity.models import LOGIN_LENGTH_MAX

_LOGIN = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9])*")

_OUR_PATHS = """
    api login logout sign-in sign-out sign-up signin signout signup join password setup settings new healthz readyz
    metrics static assets admin site explore search dashboard organizations orgs users user teams repos repositories
    repo import invitations invite notifications inbox webhooks events stream oauth authorize device sessions session
    tokens keys emails account accounts avatars raw archive uploads downloads status robots sitemap favicon
    """
_GITHUB_PATHS = """
    about apps blog business careers codespaces collections contact customer-stories dependabot discussions docs
    enterprise features gist gists git github help home hosting integrations issues jobs legal licenses logos
    maintenance marketplace mobile network nonprofits open-source packages partners plans press pricing privacy projects
    pulls readme recommendations releases render reset resources security shop showcases sponsors
    ssh stacks stars starred stores
    stories styleguide suggestions support team terms timeline topics tos tour training translations trending
    watching wiki workflows actions queue merge-queue runners
    """
_MISLEADING = "administrator anonymous cairn ghost guest none null nobody root system undefined x-access-token"

RESERVED_LOGINS: frozenset[str] = frozenset(f"{_OUR_PATHS} {_GITHUB_PATHS} {_MISLEADING}".split())
"""Names nobody can take, in lower case. First segments of our own routes (``unreserved`` finds a forgotten one),
of GitHub's (so that later pages have a place), and names that would pass for somebody else."""


GHOST_PREFIX = "ghost-"
"""Deleted accounts are named so, with their number."""
_GHOST = re.compile(rf"{GHOST_PREFIX}[0-9]+")


class NameTaken(Invalid):
    """Another account has the owner name or the address."""


class LoginInvalid(Invalid):
    """The text is no owner name, or one that nobody may take."""


def is_login(text: str) -> bool:
    """Tell whether ``text`` has the form of an owner name: 1-39 ASCII letters and digits, single hyphens between."""
    return len(text) <= LOGIN_LENGTH_MAX and _LOGIN.fullmatch(text) is not None


def check_new_login(login: str) -> None:
    """Return if somebody may take this name (when it is free); LoginInvalid says which rule it breaks."""
    if not is_login(login):
        raise _invalid(
            f"The name {login[:60]!r} is not allowed: use 1 to {LOGIN_LENGTH_MAX} letters, digits and single hyphens, "
            "with no hyphen at either end."
        )
    if login.lower() in RESERVED_LOGINS or _GHOST.fullmatch(login.lower()):
        raise _invalid(f"The name {login!r} is reserved; choose another one.")


def unreserved(paths: Iterable[str]) -> list[str]:
    """Return the first segments of route paths that a person could still take as a name, sorted.

    A start-up check compares all routes with this: anything returned belongs into ``RESERVED_LOGINS``. A segment with a
    parameter (``{owner}``) or of a form that no login has (``-``, ``robots.txt``) is no danger.
    """
    segments = {path.strip("/").split("/")[0].lower() for path in paths}
    return sorted(segment for segment in segments if is_login(segment) and segment not in RESERVED_LOGINS)


def _invalid(message: str) -> LoginInvalid:
    return LoginInvalid(message, FieldProblem("login", "invalid", message, "User"))
