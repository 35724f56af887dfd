"""Addresses of code: where a path of a revision is shown, the folders above it, what links lead to."""

import posixpath
from collections.abc import Mapping
from typing import Any

from cairn.base.actor import Actor
from cairn.git.types import show
from cairn.repositories.code.revisions import Place, Revision, RevisionKind
from cairn.repositories.queries import RepositoryView
from cairn.web.urls import path_join


def code_url(base: str, verb: str, revision: Revision, path: bytes) -> str:
    """Return the address of a path in a revision as somebody named it."""
    tail = path_join(verb, revision.name, path) if path else path_join(verb, revision.name)
    return base + tail


def archive_url(base: str, revision: Revision) -> str:
    """Return the address of a revision's archive without its ending, by the name that means nothing else."""
    prefix = {RevisionKind.BRANCH: b"refs/heads/", RevisionKind.TAG: b"refs/tags/", RevisionKind.COMMIT: b""}
    return base + path_join("archive", prefix[revision.kind] + revision.name)


def edit_url(header: Mapping[str, Any], actor: Actor, place: Place, verb: str = "edit") -> str:
    """Return where a place is edited (also ``new``, ``upload``, ``delete``); empty where nobody may or who may not.

    Somebody who may only read is led there too: the page offers a fork. Search engines and visitors are not.
    """
    repository = header["repository"]
    is_open = place.revision.kind is RevisionKind.BRANCH and not repository.is_archived and not repository.is_mirror
    return code_url(header["base"], verb, place.revision, place.path) if is_open and actor.is_signed_in else ""


def crumbs(repository: RepositoryView, base: str, place: Place) -> list[tuple[str, str]]:
    """Return name and address of each folder above a place, the repository first."""
    links = [(repository.name, code_url(base, "tree", place.revision, b""))]
    parts = place.path.split(b"/") if place.path else []
    for count, part in enumerate(parts, 1):
        links.append((show(part), code_url(base, "tree", place.revision, b"/".join(parts[:count]))))
    return links


def link_target(path: bytes, target: bytes) -> bytes | None:
    """Return the path that a symbolic link at ``path`` leads to, None if that lies outside of the repository."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    is_outside = not target or b"\0" in target or found.startswith((b"/", b"../")) or found == b".."
    if is_outside:
        return None
    return b"" if found == b"." else found


def link_href(base: str, revision: Revision, path: bytes, target: bytes) -> str:
    """Return where the page of a symbolic link at ``path`` leads on to; empty for what lies outside."""
    found = link_target(path, target)
    return "" if found is None else code_url(base, "blob" if found else "tree", revision, found)
