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
_ANCESTOR = re.compile(rb"([^~^]+)((?:~[0-9]{0,6}|\^[0-9]{0,6})+)")
"""A name and steps from it, as git writes them; no ref's name has these characters."""
_STEP = re.compile(rb"([~^])([0-9]*)")
ANCESTOR_STEPS_MAX = 1_000
"""How far back a name may lead; further, a commit's id says it better."""


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
    return _default(await engine.snapshot(state), state)


async def find_place(engine: Engine, state: StoreState, view: View, address: bytes) -> Place:
    """Return the revision that starts ``address`` and the path after it; the longest branch or tag name wins.

    A commit id, whole or from seven digits on, counts if a root reaches it; ``HEAD`` is the default branch. Steps may
    follow, as git writes them: ``main~2``, ``v1.0^2``. RevisionNotFound otherwise, or if there are no such ancestors.
    """
    snapshot = await engine.snapshot(state)
    address = address.strip(b"/")
    parts = address.split(b"/")
    for count in range(_parts_of_longest_name(parts), 0, -1):
        name = b"/".join(parts[:count])
        revision = _named(snapshot, state, name)
        if revision is None and (stepped := _ANCESTOR.fullmatch(name)):
            start = _named(snapshot, state, stepped[1])
            if start is not None:
                revision = await _ancestor(view, start.commit_oid, stepped[2], name)
        if revision is not None:
            return Place(revision, b"/".join(parts[count:]))
    stepped = _ANCESTOR.fullmatch(parts[0])
    oid = await _commit_by_id(engine, state, view, snapshot, stepped[1] if stepped else parts[0])
    revision = await _ancestor(view, oid, stepped[2], parts[0]) if stepped else _commit(oid)
    return Place(revision, b"/".join(parts[1:]))


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


def _named(snapshot: RefSnapshot, state: StoreState, name: bytes) -> Revision | None:
    for kind, prefix in ((RevisionKind.BRANCH, b"refs/heads/"), (RevisionKind.TAG, b"refs/tags/")):
        ref = snapshot.find(prefix + name)
        if ref is not None:
            return Revision(kind, name, ref.peeled or ref.oid)
    return _default(snapshot, state) if name == b"HEAD" else None


def _default(snapshot: RefSnapshot, state: StoreState) -> Revision | None:
    head = snapshot.find(state.head_target)
    if head is None:
        return None
    return Revision(RevisionKind.BRANCH, state.head_target.removeprefix(b"refs/heads/"), head.peeled or head.oid)


def _commit(oid: Oid) -> Revision:
    return Revision(RevisionKind.COMMIT, oid.encode("ascii"), oid)


async def _ancestor(view: View, start: Oid, steps: bytes, name: bytes) -> Revision:
    """Return the commit that ``steps`` lead to from ``start``: ``~N`` first parents back, ``^N`` to the N-th parent."""
    missing = RevisionNotFound(f"there is no commit {show(name)!r} here; from its start, history does not go so far")
    reader, oid, left = ObjectReader(view.path), start, ANCESTOR_STEPS_MAX
    try:
        for sign, digits in _STEP.findall(steps):
            number = int(digits or 1)
            parents = [1] * number if sign == b"~" else [number] if number else []
            left -= len(parents)
            if left < 0:
                raise RevisionNotFound(
                    f"{show(name)!r} goes back more than {ANCESTOR_STEPS_MAX:,} commits; name the commit by its id"
                )
            for parent in parents:
                found = (await reader.read_commit(oid)).parent_oids
                if parent > len(found):
                    raise missing
                oid = found[parent - 1]
    except ObjectNotFound:
        raise missing from None
    finally:
        reader.close()
    return _commit(oid)


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
