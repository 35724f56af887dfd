"""Merge, squash and rebase on objects: the tree stock git makes, or a conflict where it has one.

``git merge-tree --write-tree`` merges in the quarantine, no work tree anywhere. For a rebase each commit is merged with
its parent as merge base; git 2.39 cannot be told the base, so three synthetic commits give it one. Attributes of a
repository (``merge=union`` and the like) are not applied, as no server-side merge does.
"""

import asyncio
import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pygit2

from cairn.base.errors import Conflict, TooLarge
from cairn.git.commands import GitCommand, symmetric
from cairn.git.diff import EMPTY_TREE
from cairn.git.history import Objects, is_ancestor, merge_bases
from cairn.git.quarantine import Quarantine
from cairn.git.reading import open_repository, read_object
from cairn.git.runner import GitRunner
from cairn.git.types import Oid, Signature
from cairn.git.writing import encode_text, format_signature, write_commit, write_raw_commit

REBASE_COMMITS_MAX = 1000


class NothingToMerge(Conflict):
    """The base already contains everything the head has."""


class HistoriesUnrelated(Conflict):
    """Base and head have no commit in common."""


class RebaseTooLong(TooLarge):
    """A rebase would have to replay more commits than one rebase may."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A clean merge: the new commit and its tree, both in the quarantine."""

    oid: Oid
    tree_oid: Oid


@dataclass(frozen=True, slots=True)
class Conflicted:
    """No result: ``paths`` need a person. In a rebase ``commit_oid`` is the commit that did not apply.

    ``tree_oid`` is what could be merged; where lines conflict, its files have both sides between git's markers.
    """

    paths: tuple[bytes, ...]
    commit_oid: Oid | None = None
    tree_oid: Oid | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Rebased:
    """A finished rebase: the new head, (old, new) of each commit in order, and the commits that were left out."""

    oid: Oid
    picked: tuple[tuple[Oid, Oid], ...]
    dropped_oids: tuple[Oid, ...]


async def merge(
    runner: GitRunner,
    quarantine: Quarantine,
    *,
    base: Oid,
    head: Oid,
    author: Signature,
    committer: Signature,
    message: str,
) -> Merged | Conflicted:
    """Write the commit that merges ``head`` into ``base``, always with both as parents.

    Errors: NothingToMerge, HistoriesUnrelated.
    """
    tree = await _merged_tree(runner, quarantine, base=base, head=head)
    if isinstance(tree, Conflicted):
        return tree
    oid = await write_commit(
        quarantine, tree=tree, parents=[base, head], author=author, committer=committer, message=message
    )
    return Merged(oid, tree)


async def squash(
    runner: GitRunner,
    quarantine: Quarantine,
    *,
    base: Oid,
    head: Oid,
    author: Signature,
    committer: Signature,
    message: str,
) -> Merged | Conflicted:
    """Write one commit on ``base`` with everything ``head`` brings; errors as ``merge``."""
    tree = await _merged_tree(runner, quarantine, base=base, head=head)
    if isinstance(tree, Conflicted):
        return tree
    oid = await write_commit(quarantine, tree=tree, parents=[base], author=author, committer=committer, message=message)
    return Merged(oid, tree)


async def rebase(
    runner: GitRunner,
    quarantine: Quarantine,
    *,
    onto: Oid,
    head: Oid,
    committer: Signature,
    upstream: Oid | None = None,
) -> Rebased | Conflicted:
    """Replay on ``onto`` the commits that ``head`` has and ``upstream`` (default ``onto``) has not, as ``git rebase``.

    Authors and messages stay; merges are linearised; commits already upstream by patch-id and commits that become empty
    are dropped, those that were empty from the start are kept; a commit that already stands in its place is reused.
    Errors: RebaseTooLong.
    """
    todo, skipped = await _commits_to_pick(runner, quarantine, upstream=upstream or onto, head=head)
    current = await asyncio.to_thread(_read_pick, quarantine, onto)
    picked: list[tuple[Oid, Oid]] = []
    dropped = list(skipped)
    for pick in todo:
        if pick.parent_oids == (current.oid,):
            current = pick
            picked.append((pick.oid, pick.oid))
            continue
        tree = await _picked_tree(runner, quarantine, pick, current.tree_oid)
        if isinstance(tree, Conflicted):
            return tree
        if tree == current.tree_oid and not pick.is_empty:
            dropped.append(pick.oid)
            continue
        oid = await write_raw_commit(quarantine, _replayed(pick, tree, current.oid, committer))
        picked.append((pick.oid, oid))
        current = _Pick(oid, tree, (current.oid,), current.tree_oid, b"")
    return Rebased(current.oid, tuple(picked), tuple(dropped))


async def merge_trees(
    runner: GitRunner, quarantine: Quarantine, *, base: Oid, ours: Oid, theirs: Oid
) -> Oid | Conflicted:
    """Merge two trees over the one that both began with; return the merged tree, written into the quarantine."""
    began = await _synthetic(quarantine, base, [])
    left, right = await _synthetic(quarantine, ours, [began]), await _synthetic(quarantine, theirs, [began])
    return await _merge_tree(runner, quarantine, left, right)


async def _merged_tree(runner: GitRunner, quarantine: Quarantine, *, base: Oid, head: Oid) -> Oid | Conflicted:
    objects = Objects(quarantine.path, quarantine.alternates)
    if await is_ancestor(runner, objects, ancestor=head, descendant=base):
        raise NothingToMerge(f"{base} already contains {head}; there is nothing to merge")
    if not await merge_bases(runner, objects, base, head):
        raise HistoriesUnrelated(f"{base} and {head} have no commit in common; push a common history first")
    return await _merge_tree(runner, quarantine, base, head)


async def _merge_tree(runner: GitRunner, quarantine: Quarantine, ours: Oid, theirs: Oid) -> Oid | Conflicted:
    """Return the merged tree, written into the quarantine, or the paths in conflict."""
    command = GitCommand(
        name="merge-tree", options=("--write-tree", "-z", "--name-only", "--no-messages"), revisions=(ours, theirs)
    )
    done = await runner.complete(
        command, git_dir=quarantine.path, alternates=quarantine.alternates, accept=(0, 1), max_output_bytes=64 << 20
    )
    tree, *paths = done.stdout.split(b"\0")
    if done.exit_code == 0:
        return Oid(tree.decode("ascii"))
    found = tuple(dict.fromkeys(path for path in paths if path))
    return Conflicted(found, tree_oid=Oid(tree.decode("ascii")))


@dataclass(frozen=True, slots=True)
class _Pick:
    """A commit to replay: its tree, its first parent's tree and its raw bytes."""

    oid: Oid
    tree_oid: Oid
    parent_oids: tuple[Oid, ...]
    parent_tree_oid: Oid
    raw: bytes

    @property
    def is_empty(self) -> bool:
        """True if it changed nothing from the start."""
        return self.tree_oid == self.parent_tree_oid


async def _commits_to_pick(
    runner: GitRunner, quarantine: Quarantine, *, upstream: Oid, head: Oid
) -> tuple[list[_Pick], list[Oid]]:
    """Return the commits to replay, oldest first, and those that are left out because upstream has the same change."""
    command = GitCommand(
        name="rev-list",
        options=("--cherry-mark", "--right-only", "--no-merges", "--topo-order", "--reverse"),
        revisions=(symmetric(upstream, head),),
    )
    lines = (await runner.run(command, git_dir=quarantine.path, alternates=quarantine.alternates)).split()
    if len(lines) > REBASE_COMMITS_MAX:
        raise RebaseTooLong(
            f"{len(lines):,} commits would be replayed, the limit is {REBASE_COMMITS_MAX:,}; squash them"
        )
    todo: list[_Pick] = []
    skipped: list[Oid] = []
    for line in lines:
        mark, oid = line[:1], Oid(line[1:].decode("ascii"))
        pick = await asyncio.to_thread(_read_pick, quarantine, oid)
        if mark == b"=" and not pick.is_empty:
            skipped.append(oid)
        else:
            todo.append(pick)
    return todo, skipped


async def _picked_tree(runner: GitRunner, quarantine: Quarantine, pick: _Pick, current_tree: Oid) -> Oid | Conflicted:
    """Return ``current_tree`` with the change of ``pick`` applied, by a three-way merge over its parent."""
    if pick.parent_tree_oid == current_tree or pick.is_empty:
        return current_tree if pick.is_empty else pick.tree_oid
    result = await merge_trees(runner, quarantine, base=pick.parent_tree_oid, ours=current_tree, theirs=pick.tree_oid)
    return replace(result, commit_oid=pick.oid) if isinstance(result, Conflicted) else result


async def _synthetic(quarantine: Quarantine, tree: Oid, parents: Sequence[Oid]) -> Oid:
    """Write a commit that only exists to give merge-tree its merge base; no ref will ever reach it."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += ["author cairn <> 0 +0000", "committer cairn <> 0 +0000", "", ""]
    return await write_raw_commit(quarantine, "\n".join(lines).encode())


def _read_pick(quarantine: Quarantine, oid: Oid) -> _Pick:
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    commit = read_object(repository, oid)
    assert isinstance(commit, pygit2.Commit), "git lists commits only"
    parents = tuple(Oid(str(parent)) for parent in commit.parent_ids)
    parent_tree = EMPTY_TREE
    if parents:
        parent = read_object(repository, parents[0])
        assert isinstance(parent, pygit2.Commit), "a parent is a commit"
        parent_tree = Oid(str(parent.tree_id))
    return _Pick(oid, Oid(str(commit.tree_id)), parents, parent_tree, commit.read_raw())


def _replayed(pick: _Pick, tree: Oid, parent: Oid, committer: Signature) -> bytes:
    """Return the replayed commit: author and message of the original in UTF-8, no signature, a new committer."""
    head, _, message = pick.raw.partition(b"\n\n")
    headers = dict(line.split(b" ", 1) for line in reversed(head.split(b"\n")) if b" " in line and line[:1] != b" ")
    encoding = headers.get(b"encoding")
    author, kept = headers[b"author"], b""
    if encoding is not None:
        try:
            codec = codecs.lookup(encoding.decode("ascii", "replace"))
            author, message = (codec.decode(raw, "strict")[0].encode() for raw in (author, message))
        except (LookupError, UnicodeError):
            kept = b"encoding " + encoding + b"\n"  # not ours to guess: it stays as it was
    lines = [b"tree " + tree.encode(), b"parent " + parent.encode(), b"author " + author]
    lines.append(b"committer " + encode_text(format_signature(committer)))
    return b"\n".join(lines) + b"\n" + kept + b"\n" + message
