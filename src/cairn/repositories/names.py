"""Repository names: what may be one."""

import re

from cairn.base.errors import FieldProblem, Invalid
from cairn.repositories.models import NAME_LENGTH_MAX

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_ENDINGS = (".git", ".wiki", ".atom", ".lock")
"""Endings that mean something else in an address: git over HTTP, wikis, feeds; git's own lock files."""


def unaskable_key(repository_id: int) -> str:
    """Return a key that no name has and nobody can ask for: a deleted repository's, whose name is free."""
    return f"~{repository_id}"


class RepositoryNameInvalid(Invalid):
    """The text is no repository name."""


def is_repository_name(text: str) -> bool:
    """Tell whether a repository may have this name. ASCII only: no two names look alike."""
    return (
        len(text) <= NAME_LENGTH_MAX
        and _NAME.fullmatch(text) is not None
        and text.strip(".-") != ""
        and not text.lower().endswith(_ENDINGS)
    )


def check_repository_name(name: str) -> None:
    """Return if a repository may have this name; RepositoryNameInvalid says which rule it breaks."""
    if is_repository_name(name):
        return
    shown = repr(name[:60])
    if not 0 < len(name) <= NAME_LENGTH_MAX:
        message = f"A repository name has 1 to {NAME_LENGTH_MAX} characters; {shown} has {len(name)}."
    elif not _NAME.fullmatch(name):
        message = f"The repository name {shown} is not allowed: use letters, digits, hyphens, dots and underscores."
    elif name.lower().endswith(_ENDINGS):
        message = f"A repository name cannot end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}."
    else:
        message = f"The repository name {shown} is not allowed: it needs a letter, a digit or an underscore."
    raise RepositoryNameInvalid(message, FieldProblem("name", "invalid", message, "Repository"))
