"""Turning what stands in an address (``main``, ``feature/x/src/a.c``, a commit id) into a commit and a path."""

import re
from dataclasses import dataclass
from enum import StrEnum

from cairn.base.errors import NotFound, NotFoundHere
from cairn.git.engine import Engine
from cairn.git.models import REF_NAME_BYTES_MAX
from cairn.git.node_cache import View
from cairn.git.reading import ObjectNotFound, ObjectReader
from cairn.git.ref_queries import RefSnapshot
from cairn.git.store_state import StoreState
from cairn.git.types import ObjectKind, Oid, is_oid, parse_oid, show

_ABBREVIATION = re.compile(rb"[0-9a-f]{7,39}")


class RevisionKind(StrEnum):
    """What a revision's name is."""

    BRANCH = "branch"
    TAG = "tag"
    COMMIT = "commit"


class RevisionNotFound(NotFoundHere):
    """No branch, tag or reachable commit of that name."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit as somebody named it: ``name`` is the short name of the branch or tag, or the commit's id."""

    kind: RevisionKind
    name: bytes
    commit_oid: Oid

    @property
    def label(self) -> str:
        """The name for people."""
        return self.name.decode()[:10] if self.kind is RevisionKind.COMMIT else show(self.name)


@dataclass(frozen=True, slots=True)
class Place:
    """A revision and a path in it; the path is empty for the root."""

    revision: Revision
    path: bytes


async def default_revision(engine: Engine, state: StoreState) -> Revision | None:
    """Return the default branch's tip, None while it is unborn."""
    head = (await engine.snapshot(state)).find(state.head_target)
    if head is None:
        return None
    return Revision(RevisionKind.BRANCH, state.head_target.removeprefix(b"refs/heads/"), head.peeled or head.oid)


async def find_place(engine: Engine, state: StoreState, view: View, address: bytes) -> Place:
    """Return the revision that starts ``address`` and the path after it; the longest branch or tag name wins.

    A commit id, whole or from seven digits on, counts if a root reaches it. RevisionNotFound otherwise.
    """
    snapshot = await engine.snapshot(state)
    address = address.strip(b"/")
    parts = address.split(b"/")
    for count in range(_parts_of_longest_name(parts), 0, -1):
        revision = _named(snapshot, b"/".join(parts[:count]))
        if revision is not None:
            return Place(revision, b"/".join(parts[count:]))
    oid = await _commit_by_id(engine, state, view, snapshot, parts[0])
    return Place(Revision(RevisionKind.COMMIT, oid.encode("ascii"), oid), b"/".join(parts[1:]))


def _parts_of_longest_name(parts: list[bytes]) -> int:
    """Return how many leading parts can be a ref's name at all: an address of thousands must not cost their square."""
    used_bytes = -1
    for count, part in enumerate(parts):
        used_bytes += len(part) + 1
        if used_bytes > REF_NAME_BYTES_MAX:
            return count
    return len(parts)


async def find_revision(engine: Engine, state: StoreState, view: View, name: bytes) -> Revision:
    """Return the commit that ``name`` means: branch, tag, full ref name or commit id."""
    if name.startswith(b"refs/"):
        ref = (await engine.snapshot(state)).find(name)
        if ref is not None:
            return Revision(RevisionKind.COMMIT, name, ref.peeled or ref.oid)
    place = await find_place(engine, state, view, name)
    if place.path:
        raise RevisionNotFound(f"there is no branch, tag or commit {show(name)!r} here")
    return place.revision


def _named(snapshot: RefSnapshot, name: bytes) -> Revision | None:
    for kind, prefix in ((RevisionKind.BRANCH, b"refs/heads/"), (RevisionKind.TAG, b"refs/tags/")):
        ref = snapshot.find(prefix + name)
        if ref is not None:
            return Revision(kind, name, ref.peeled or ref.oid)
    return None


async def _commit_by_id(engine: Engine, state: StoreState, view: View, snapshot: RefSnapshot, word: bytes) -> Oid:
    missing = RevisionNotFound(f"there is no branch, tag or commit {show(word)!r} here")
    text = word.decode("latin-1")
    reader = ObjectReader(view.path)
    try:
        if is_oid(text):
            oid = parse_oid(text)
        elif _ABBREVIATION.fullmatch(word):
            oid = await reader.expand(text)
        else:
            raise missing
        oid, kind = await reader.peel(oid)
    except ObjectNotFound:
        raise missing from None
    finally:
        reader.close()
    if kind is not ObjectKind.COMMIT:
        raise missing
    if oid not in snapshot.tips:
        try:
            await engine.reachability.require(state, view, [oid], tips=[ref.oid for ref in snapshot.refs])
        except NotFound:
            raise missing from None
    return oid
