"""The one way in which the server commits files for somebody: on a branch, a new branch, or as the first commit.

What was staged on one head lands on that head only. Who did not say which head they saw is tried again on the new one
as long as their paths are the same there; who did gets HeadMoved, and ``merging`` offers what became of both sides.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.base.actor import Actor
from cairn.base.clock import Clock, utc_now
from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFoundHere
from cairn.base.ids import random_id
from cairn.git.diff import EMPTY_TREE
from cairn.git.engine import Engine
from cairn.git.landing import find_landed
from cairn.git.quarantine import Quarantine
from cairn.git.reading import ObjectReader, TreeEntry
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid, RefName, Signature
from cairn.git.writing import write_commit, write_tree
from cairn.identity.commit_authors import commit_author
from cairn.repositories.accept_push import Within
from cairn.repositories.editing.changes import Change, paths_of, resolve_changes, same_there
from cairn.repositories.editing.landing import land_change, require_writable, short_ref
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView

ATTEMPTS_MAX = 30
"""On as many heads a change without an expected one is tried; in one program writers of a branch take turns."""

_PAUSE_SECONDS = 0.05


class BranchMissing(NotFoundHere):
    """The branch to change does not exist."""


class BranchExists(Invalid):
    """The new branch exists already."""


class MessageMissing(Invalid):
    """A commit wants a message."""


class NothingChanges(Invalid):
    """The files would be what they are already."""


class HeadMoved(Conflict):
    """The branch is not where the writer saw it, or somebody changed the same paths meanwhile.

    ``base`` is the head they saw (None: no commit yet), ``head`` the present one (None: the branch is gone):
    ``merging.merge_changes`` brings the change and what came meanwhile together.
    """

    def __init__(self, branch: RefName, base: Oid | None, head: Oid | None) -> None:
        is_at = f"is at {head}" if head else "does not exist any more"
        super().__init__(
            f"{short_ref(branch)} {is_at} but expected {base or 'no commit'}: "
            "somebody changed it meanwhile. Look at what came and redo or merge your change."
        )
        self.branch = branch
        self.base = base
        self.head = head


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that landed on ``branch``; ``parent`` None for the first of a repository."""

    oid: Oid
    tree: Oid
    branch: RefName
    parent: Oid | None


async def commit_changes(
    engine: Engine,
    actor: Actor,
    repository: RepositoryView,
    *,
    branch: RefName,
    changes: Sequence[Change],
    message: str,
    expected_head: Oid | None = None,
    new_branch: RefName | None = None,
    author: Signature | None = None,
    committer: Signature | None = None,
    email: str | None = None,
    push_id: str | None = None,
    within: Within | None = None,
    clock: Clock = utc_now,
) -> Committed:
    """A commit with all the changes is the head of ``branch``, or of ``new_branch``, which begins where that one is.

    ``expected_head`` is the head that the writer saw, None for whatever it is now; a new branch begins there, even if
    the old one went on. The first commit of an empty repository makes its branch. ``author`` and ``committer`` are the
    actor unless they are given, with the address ``email`` if they chose one; who gives an author alone is committed by
    the actor. A ``push_id`` that landed already gives what it made then. Of a wiki ``repository`` has the wiki's store,
    and ``within`` decides in place of the rules of the repository's own refs.

    Errors: NotFound, Unauthenticated, Forbidden (an archived repository among them); BranchMissing, BranchExists,
    RefNameInvalid, RefReserved; MessageMissing, EmailNotYours, NoAuthor, SignatureInvalid; PathInvalid, PathIsFolder,
    FileExists, FileMissing, FileTooLarge, TooManyChanges, NothingChanges; StaleFile, HeadMoved; RefRefused with the
    rule; PackRefused for what git itself refuses; the engine's. After any of them nothing has changed.
    """
    if within is None:
        require(actor, Action.REPOSITORY_PUSH, repository.scope)
    target = new_branch or branch
    for name in {branch, target}:
        require_branch(engine, name)
    if not message.strip():
        raise MessageMissing("Say what this commit does.", FieldProblem("message", "missing_field", "Fill this in."))
    if push_id is not None and (done := await _landed(engine, repository, push_id, target)) is not None:
        return done
    if author is None or committer is None:
        async with engine.database.read() as session:
            person = await commit_author(session, engine.settings.host, actor, at=clock(), email=email)
        author, committer = author or person, committer or person
    edit = _Edit(
        engine, actor, repository, branch, target, expected_head, tuple(changes), tuple(paths_of(changes)),
        message, author, committer, push_id or random_id(), within,
    )  # fmt: skip
    async with engine.queues.turn(repository.store_id, target):
        return await _commit(edit)


def require_branch(engine: Engine, name: RefName) -> None:
    """Return if ``name`` is the full name of a branch that people may have; RefNameInvalid, RefReserved."""
    require_writable(engine, name)
    if not name.startswith(BRANCH_PREFIX):
        raise Invalid(f"{short_ref(name)} is no branch; commits go to branches.")


@dataclass(frozen=True, slots=True)
class _Edit:
    engine: Engine
    actor: Actor
    repository: RepositoryView
    branch: RefName
    target: RefName
    expected_head: Oid | None
    changes: tuple[Change, ...]
    paths: tuple[bytes, ...]
    message: str
    author: Signature
    committer: Signature
    push_id: str
    within: Within | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stood at an edit's paths in the head of its first attempt."""

    head: Oid | None
    standing: dict[bytes, TreeEntry]


async def _commit(edit: _Edit) -> Committed:
    seen: list[_Seen] = []
    for attempt in range(ATTEMPTS_MAX):
        committed = await _attempt(edit, seen)
        if committed is not None:
            return committed
        # Writers of other programs: not all at once again.
        await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * min(attempt + 1, 10)))  # noqa: S311 (no secret)
    raise HeadMoved(edit.target, seen[0].head, await _head_of(edit))


async def _attempt(edit: _Edit, seen: list[_Seen]) -> Committed | None:
    """Commit on the present head; None if it moved meanwhile and another attempt may be made."""
    old, parent = await _parent_of(edit)
    made: list[Committed] = []

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        committed = await _write(edit, quarantine, parent, seen)
        made.append(committed)
        return [RefUpdate(edit.target, old, committed.oid)]

    staged = await edit.engine.stage(edit.repository.store_id, write)
    outcomes = await land_change(
        edit.engine, staged, edit.actor, edit.repository.id, push_id=edit.push_id, within=edit.within
    )
    if outcomes is None:
        if edit.target != edit.branch:
            raise branch_exists(edit.target)
        if edit.expected_head is not None:
            raise HeadMoved(edit.branch, edit.expected_head, await _head_of(edit))
        return None
    if outcomes[0].new != made[0].oid:
        # The same push id landed a moment ago.
        return await _landed(edit.engine, edit.repository, edit.push_id, edit.target)
    return made[0]


async def _parent_of(edit: _Edit) -> tuple[Oid, Oid | None]:
    """Return where the target is (ZERO_OID: nowhere) and the commit to build on (None: the first of a repository)."""
    engine, store_id = edit.engine, edit.repository.store_id
    found = await engine.refs.find(store_id, edit.branch)
    head = None if found is None else found.oid
    if edit.target != edit.branch:
        if await engine.refs.find(store_id, edit.target) is not None:
            raise branch_exists(edit.target)
        if edit.expected_head is not None and edit.expected_head != head:
            await _prove(edit, edit.expected_head)
            return ZERO_OID, edit.expected_head
    elif edit.expected_head is not None and edit.expected_head != head:
        raise HeadMoved(edit.branch, edit.expected_head, head)
    if head is None and (await engine.snapshot(await engine.state(store_id))).refs:
        raise branch_missing(edit.branch)
    return (head or ZERO_OID) if edit.target == edit.branch else ZERO_OID, head


async def _prove(edit: _Edit, oid: Oid) -> None:
    state = await edit.engine.state(edit.repository.store_id)
    snapshot = await edit.engine.snapshot(state)
    state = snapshot.fresher(state)
    async with edit.engine.view(state) as view:
        tips = [ref.oid for ref in snapshot.refs]
        await edit.engine.reachability.require(state, view, [oid], tips=tips)


async def _head_of(edit: _Edit) -> Oid | None:
    found = await edit.engine.refs.find(edit.repository.store_id, edit.branch)
    return None if found is None else found.oid


async def _write(edit: _Edit, quarantine: Quarantine, parent: Oid | None, seen: list[_Seen]) -> Committed:
    reader = ObjectReader(quarantine.path, alternates=quarantine.alternates)
    try:
        base = EMPTY_TREE if parent is None else (await reader.read_commit(parent)).tree_oid
        standing = {} if parent is None else await reader.resolve_paths(base, edit.paths)
    finally:
        reader.close()
    if not seen:
        seen.append(_Seen(parent, standing))
    elif not same_there(edit.paths, seen[0].standing, standing):
        raise HeadMoved(edit.branch, seen[0].head, parent)
    planned = resolve_changes(standing, edit.changes, file_bytes_max=edit.engine.settings.max_file_bytes)
    tree = await write_tree(quarantine, None if parent is None else base, planned)
    if tree == base:
        raise NothingChanges("This changes nothing: every file is like that already.")
    oid = await write_commit(
        quarantine,
        tree=tree,
        parents=[] if parent is None else [parent],
        author=edit.author,
        committer=edit.committer,
        message=edit.message,
    )
    return Committed(oid, tree, edit.target, parent)


async def _landed(engine: Engine, repository: RepositoryView, push_id: str, branch: RefName) -> Committed | None:
    """Return what a push id committed on a branch, None if it did not land."""
    outcomes = await find_landed(engine.database, repository.store_id, push_id)
    landed = next((outcome for outcome in outcomes or () if outcome.name == branch and outcome.moved), None)
    if landed is None:
        return None
    async with engine.view(await engine.state(repository.store_id)) as view:
        reader = ObjectReader(view.path)
        try:
            commit = await reader.read_commit(landed.new)
        finally:
            reader.close()
    return Committed(commit.oid, commit.tree_oid, branch, next(iter(commit.parent_oids), None))


def branch_missing(name: RefName) -> BranchMissing:
    """Return the error for a branch that is not there."""
    return BranchMissing(f"Branch {short_ref(name)} not found")


def branch_exists(name: RefName) -> BranchExists:
    """Return the error for a new branch that is there."""
    message = f"A branch {short_ref(name)!r} exists already; choose another name."
    return BranchExists(message, FieldProblem("branch", "already_exists", message))
