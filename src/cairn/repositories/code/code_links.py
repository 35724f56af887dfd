"""Addresses of code: where a path of a revision is shown, the folders above it, the branches to choose from."""

from cairn.git.types import show
from cairn.repositories.code.browse import Code
from cairn.repositories.code.revisions import Place, Revision
from cairn.repositories.queries import RepositoryView
from cairn.web.urls import path_join

_BRANCHES_IN_MENU = 50


def code_url(base: str, verb: str, revision: Revision, path: bytes) -> str:
    """Return the address of a path in a revision as somebody named it."""
    tail = path_join(verb, revision.name, path) if path else path_join(verb, revision.name)
    return base + tail


def crumbs(repository: RepositoryView, base: str, place: Place) -> list[tuple[str, str]]:
    """Return name and address of each folder above a place, the repository first."""
    links = [(repository.name, code_url(base, "tree", place.revision, b""))]
    parts = place.path.split(b"/") if place.path else []
    for count, part in enumerate(parts, 1):
        links.append((show(part), code_url(base, "tree", place.revision, b"/".join(parts[:count]))))
    return links


def branch_links(code: Code, base: str, verb: str) -> list[tuple[str, str]]:
    """Return name and address of the first branches, for a menu."""
    names = [ref.name.removeprefix(b"refs/heads/") for ref in code.branches[:_BRANCHES_IN_MENU]]
    return [(show(name), base + path_join(verb, name)) for name in names]
