"""A change under somebody's feet: what they changed on an old head, brought together with what came since."""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pygit2

from cairn.git.diff import EMPTY_TREE
from cairn.git.engine import Engine
from cairn.git.merging import Conflicted, merge_trees
from cairn.git.quarantine import Quarantine, open_quarantine
from cairn.git.reading import SUBMODULE_MODE, ObjectReader, open_repository
from cairn.git.types import ZERO_OID, Oid, RefName
from cairn.git.writing import write_tree
from cairn.repositories.editing.changes import (
    CHANGES_MAX,
    Change,
    DeleteFile,
    FileMode,
    PutFile,
    TooManyChanges,
    paths_of,
    resolve_changes,
)
from cairn.repositories.editing.commit_changes import branch_missing
from cairn.repositories.editing.landing import short_ref
from cairn.repositories.queries import RepositoryView

_MARKER = re.compile(rb"^(<{7}|>{7}) [0-9a-f]{40}(?::[^\r\n]*)?(?=\r?$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ConflictedFile:
    """A file that both sides changed in the same place; a side is None where it has no file there.

    ``merged`` has both sides between git's markers; None where nothing can be marked (binary, deleted, a link).
    """

    path: bytes
    base: bytes | None
    ours: bytes | None
    theirs: bytes | None
    merged: bytes | None


@dataclass(frozen=True, slots=True)
class MergedChanges:
    """What to commit on ``head`` so that both sides stand; with ``conflicts`` only once those files are settled too.

    The changes expect what is at ``head``: commit them with ``expected_head=head``.
    """

    head: Oid
    changes: tuple[Change, ...]
    conflicts: tuple[ConflictedFile, ...] = ()


async def merge_changes(
    engine: Engine, repository: RepositoryView, *, branch: RefName, base: Oid | None, changes: Sequence[Change]
) -> MergedChanges:
    """Return somebody's changes to ``base`` (None: to nothing) as changes to the branch's present head.

    Nothing is written. The caller has found the repository, so the actor may read it. Errors: BranchMissing; NotFound
    for a base that no root of the repository reaches; as ``commit_changes`` for changes that fit no base.
    """
    paths = paths_of(changes)
    found = await engine.refs.find(repository.store_id, branch)
    if found is None:
        raise branch_missing(branch)
    state = await engine.state(repository.store_id)
    snapshot = await engine.snapshot(state)
    state = snapshot.fresher(state)
    async with (
        engine.view(state) as view,
        open_quarantine(engine.cache.quarantines, alternates=[view.objects]) as quarantine,
    ):
        if base is not None:
            await engine.reachability.require(state, view, [base], tips=[found.oid])
        reader = ObjectReader(quarantine.path, alternates=quarantine.alternates)
        try:
            began = EMPTY_TREE if base is None else (await reader.read_commit(base)).tree_oid
            standing = {} if base is None else await reader.resolve_paths(began, paths)
            theirs = (await reader.read_commit(found.oid)).tree_oid
            planned = resolve_changes(standing, changes, file_bytes_max=engine.settings.max_file_bytes)
            ours = await write_tree(quarantine, None if base is None else began, planned)
        finally:
            reader.close()
        merged = await merge_trees(engine.runner, quarantine, base=began, ours=ours, theirs=theirs)
        sides = _Sides(quarantine, began, ours, theirs, merged, branch)
        return await asyncio.to_thread(sides.compare, found.oid)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The trees of a merge; its methods block."""

    quarantine: Quarantine
    base: Oid
    ours: Oid
    theirs: Oid
    merged: Oid | Conflicted
    branch: RefName

    def compare(self, head: Oid) -> MergedChanges:
        repository = open_repository(self.quarantine.path, alternates=self.quarantine.alternates)
        if not isinstance(self.merged, Conflicted):
            return MergedChanges(head, self._changes(repository, self.merged, set()))
        assert self.merged.tree_oid is not None, "a merge that is no rebase has a tree"
        conflicts = tuple(self._conflict(repository, path, self.merged.tree_oid) for path in self.merged.paths)
        return MergedChanges(head, self._changes(repository, self.merged.tree_oid, set(self.merged.paths)), conflicts)

    def _changes(self, repository: pygit2.Repository, merged: Oid, without: set[bytes]) -> tuple[Change, ...]:
        """Return what leads from their tree to the merged one, except for the files in conflict."""
        theirs, both = repository[self.theirs], repository[merged]
        assert isinstance(theirs, pygit2.Tree)
        assert isinstance(both, pygit2.Tree)
        deltas = [delta for delta in theirs.diff_to_tree(both).deltas if delta.new_file.raw_path not in without]
        if len(deltas) > CHANGES_MAX:
            raise TooManyChanges(f"{len(deltas):,} files differ, more than {CHANGES_MAX:,}; merge on your machine.")
        found: list[Change] = []
        for delta in deltas:
            old, new = delta.old_file, delta.new_file
            expected = Oid(str(old.id)) if old.mode else ZERO_OID
            if not new.mode:
                found.append(DeleteFile(old.raw_path, expected))
            elif new.mode != SUBMODULE_MODE:
                blob = repository[new.id]
                assert isinstance(blob, pygit2.Blob)
                found.append(PutFile(new.raw_path, blob.data, FileMode(int(new.mode)), expected))
        return tuple(found)

    def _conflict(self, repository: pygit2.Repository, path: bytes, merged: Oid) -> ConflictedFile:
        base, ours, theirs = (_content(repository, tree, path) for tree in (self.base, self.ours, self.theirs))
        both = _content(repository, merged, path)
        marked = None
        if both is not None and _MARKER.search(both):
            names = {b"<": b"your change", b">": short_ref(self.branch).encode()}
            marked = _MARKER.sub(lambda found: found[1] + b" " + names[found[1][:1]], both)
        return ConflictedFile(path, base, ours, theirs, marked)


def _content(repository: pygit2.Repository, tree: Oid, path: bytes) -> bytes | None:
    """Return the file at a path of a tree, None where there is none."""
    found: object = None if tree == EMPTY_TREE else repository[tree]
    for name in path.split(b"/"):
        try:
            found = found[os.fsdecode(name)] if isinstance(found, pygit2.Tree) else None
        except KeyError:
            return None
    return found.data if isinstance(found, pygit2.Blob) else None
