"""Moving refs for somebody: create, update, delete, rename a branch, merge one into another; all rules hold."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.decide import require
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.clock import Clock, utc_now
from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFoundHere
from cairn.base.ids import random_id
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.history import Objects, is_ancestor
from cairn.git.landing import Staged
from cairn.git.merging import Conflicted, NothingToMerge, merge
from cairn.git.models import Store
from cairn.git.quarantine import Quarantine
from cairn.git.ref_queries import RefValue
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, ObjectKind, Oid, RefName, show
from cairn.identity.commit_authors import commit_author
from cairn.repositories.accept_push import Within, make_within
from cairn.repositories.branch_renames import note_branch_rename
from cairn.repositories.editing.commit_changes import branch_exists, branch_missing, require_branch
from cairn.repositories.editing.landing import land_change, require_writable, short_ref
from cairn.repositories.editing.proving import kinds_of, object_unknown
from cairn.repositories.events import RepositoryEdited
from cairn.repositories.queries import RepositoryView, load_scope

ATTEMPTS_MAX = 10
_PATHS_TOLD = 10


class RefMissing(Invalid):
    """The ref to change does not exist."""


class RefExists(Invalid):
    """The new ref exists already."""


class NotFastForward(Invalid):
    """The new value does not contain the old one, and the caller did not say that this is meant."""


class RefKeptMoving(Conflict):
    """Somebody else moved the ref each time it was tried."""

    def __init__(self, name: RefName) -> None:
        super().__init__(f"{short_ref(name)} moved while it was changed; look at it again and retry.")


class MergeConflict(Conflict):
    """Both sides changed the same places; a person has to merge them."""


class HeadMissing(NotFoundHere):
    """What is to be merged does not exist."""


@dataclass(frozen=True, slots=True)
class MergedBranch:
    """The merge commit that is now the head of ``base``."""

    base: RefName
    oid: Oid


async def create_ref(engine: Engine, actor: Actor, repository: RepositoryView, name: RefName, oid: Oid) -> RefValue:
    """The new ref ``name`` points to an object that a root of the repository reaches.

    Errors: NotFound, Forbidden; RefNameInvalid, RefReserved, RefExists, ObjectUnknown, NotACommit, RefRefused.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    require_writable(engine, name)
    if await engine.refs.find(repository.store_id, name) is not None:
        raise ref_exists(name)
    if not await kinds_of(engine, repository, [oid]):
        raise object_unknown(oid)
    if await _move(engine, actor, repository, RefUpdate(name, ZERO_OID, oid)) is None:
        raise ref_exists(name)
    return await _read(engine, repository, name)


async def update_ref(
    engine: Engine, actor: Actor, repository: RepositoryView, name: RefName, oid: Oid, *, force: bool
) -> RefValue:
    """The ref points to another object, which contains the old one unless it is forced.

    Errors: NotFound, Forbidden; RefReserved, RefMissing, ObjectUnknown, NotACommit, NotFastForward, RefRefused;
    RefKeptMoving.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    require_writable(engine, name)
    for _ in range(ATTEMPTS_MAX):
        current = await engine.refs.find(repository.store_id, name)
        if current is None:
            raise ref_missing(name)
        if current.oid == oid:
            return current
        kinds = await kinds_of(engine, repository, [oid])
        if not kinds:
            raise object_unknown(oid)
        if not force and not await _contains(engine, repository, current, oid, kinds[oid]):
            raise NotFastForward(
                "Update is not a fast forward: the new value does not contain "
                f"{current.oid}; merge it first, or force the update."
            )
        if await _move(engine, actor, repository, RefUpdate(name, current.oid, oid)) is not None:
            return await _read(engine, repository, name)
    raise RefKeptMoving(name)


async def delete_ref(
    engine: Engine, actor: Actor, repository: RepositoryView, name: RefName, *, expected: Oid | None = None
) -> None:
    """The ref is gone; with ``expected`` only if it was there.

    What it reached stays for 14 days. Errors: NotFound, Forbidden; RefReserved, RefMissing, RefRefused (the default
    branch, a rule); RefKeptMoving.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    require_writable(engine, name)
    for _ in range(ATTEMPTS_MAX):
        current = await engine.refs.find(repository.store_id, name)
        if current is None:
            raise ref_missing(name)
        if expected not in {None, current.oid}:
            break
        if await _move(engine, actor, repository, RefUpdate(name, current.oid, ZERO_OID)) is not None:
            return
    raise RefKeptMoving(name)


async def rename_branch(
    engine: Engine, actor: Actor, repository: RepositoryView, old: RefName, new: RefName
) -> RefValue:
    """The branch has another name, in one transaction; the default branch stays the default one.

    Its old name leads pages and the API to it until a branch of that name is made.
    Renaming that one wants the maintain role, as choosing another does. Errors: as ``create_ref`` and ``delete_ref``;
    BranchMissing, BranchExists.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    for name in (old, new):
        require_branch(engine, name)
    within = _renaming(engine, actor, repository, old, new)
    for _ in range(ATTEMPTS_MAX):
        current, taken = (
            await engine.refs.find(repository.store_id, old),
            await engine.refs.find(repository.store_id, new),
        )
        if current is None:
            raise branch_missing(old)
        if taken is not None:
            raise branch_exists(new)
        updates = [RefUpdate(old, current.oid, ZERO_OID), RefUpdate(new, ZERO_OID, current.oid)]
        staged = await _stage(engine, repository, updates)
        landed = await land_change(engine, staged, actor, repository.id, push_id=random_id(), within=within)
        if landed is not None:
            return RefValue(new, current.oid)
    raise RefKeptMoving(old)


def _renaming(engine: Engine, actor: Actor, repository: RepositoryView, old: RefName, new: RefName) -> Within:
    allowed = make_within(actor, repository.id)

    async def within(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        store = await session.get_one(Store, repository.store_id)
        is_default = bytes(store.head_target) == old
        if is_default:
            # First: the default branch cannot be deleted. What is refused below takes this back.
            await engine.set_head(session, store.id, new)
        refusals = await allowed(session, updates)
        if is_default and not refusals:
            scope = await load_scope(session, actor, repository.id)
            assert scope is not None, "it was authorized a moment ago"
            await authorize(session, actor, Action.REPOSITORY_MAINTAIN, scope)
        if not refusals:
            changes = {"branch": (short_ref(old), short_ref(new))}
            if is_default:
                changes["default_branch"] = (short_ref(old), short_ref(new))
            await note_branch_rename(session, repository.id, old=old, new=new)
            emit(session, RepositoryEdited(repository_id=repository.id, changes=changes, actor_id=actor.account_id))
            record(
                session,
                actor,
                "repository.rename_branch",
                repository.name,
                repository_id=repository.id,
                changes=changes,
            )
        return refusals

    return within


async def merge_branch(
    engine: Engine,
    actor: Actor,
    repository: RepositoryView,
    *,
    base: RefName,
    head: Oid,
    head_label: str,
    message: str | None = None,
    clock: Clock = utc_now,
) -> MergedBranch | None:
    """A merge commit of ``head`` is the head of ``base``; None if the branch contains it already.

    ``head`` is a commit that the caller found reachable. Errors: NotFound, Forbidden; BranchMissing, MergeConflict,
    HistoriesUnrelated, RefRefused; RefKeptMoving.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    require_branch(engine, base)
    async with engine.database.read() as session:
        author = await commit_author(session, engine.settings.host, actor, at=clock())
    text = message or f"Merge {head_label} into {short_ref(base)}"
    async with engine.queues.turn(repository.store_id, base):
        for _ in range(ATTEMPTS_MAX):
            current = await engine.refs.find(repository.store_id, base)
            if current is None:
                raise branch_missing(base)
            found = current.oid
            made: list[Oid] = []

            async def write(quarantine: Quarantine, old: Oid = found, made: list[Oid] = made) -> Sequence[RefUpdate]:
                merged = await merge(
                    engine.runner, quarantine, base=old, head=head, author=author, committer=author, message=text
                )
                if isinstance(merged, Conflicted):
                    raise _conflict(base, head_label, merged.paths)
                made.append(merged.oid)
                return [RefUpdate(base, old, merged.oid)]

            try:
                staged = await engine.stage(repository.store_id, write)
            except NothingToMerge:
                return None
            if await land_change(engine, staged, actor, repository.id, push_id=random_id()) is not None:
                return MergedBranch(base, made[0])
    raise RefKeptMoving(base)


def _conflict(base: RefName, head: str, paths: Sequence[bytes]) -> MergeConflict:
    shown = ", ".join(show(path) for path in paths[:_PATHS_TOLD]) + (" and more" if len(paths) > _PATHS_TOLD else "")
    return MergeConflict(
        f"Merge conflict: both {short_ref(base)} and {head} changed {shown}. Merge them on your machine and push."
    )


async def _contains(engine: Engine, repository: RepositoryView, current: RefValue, new: Oid, kind: ObjectKind) -> bool:
    """Tell whether a commit contains what a ref points to."""
    old = current.peeled or current.oid
    if kind is not ObjectKind.COMMIT or (await kinds_of(engine, repository, [old])).get(old) is not ObjectKind.COMMIT:
        return False
    async with engine.view(await engine.state(repository.store_id)) as view:
        return await is_ancestor(engine.runner, Objects(view.path), ancestor=old, descendant=new)


async def _move(engine: Engine, actor: Actor, repository: RepositoryView, change: RefUpdate) -> bool | None:
    """Return True if the ref moved, None if it was not where the change begins."""
    staged = await _stage(engine, repository, [change])
    landed = await land_change(engine, staged, actor, repository.id, push_id=random_id())
    return None if landed is None else True


async def _stage(engine: Engine, repository: RepositoryView, updates: Sequence[RefUpdate]) -> Staged:
    """Return a plan that moves refs to objects that are there, proved reachable by the caller."""
    if all(update.is_deletion for update in updates):
        state = await engine.state(repository.store_id)
        return await engine.stager.stage_deletions(state, updates, is_atomic=True)
    return await engine.stage(repository.store_id, _writes_nothing(updates))


def _writes_nothing(updates: Sequence[RefUpdate]) -> Callable[[Quarantine], Awaitable[Sequence[RefUpdate]]]:
    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        del quarantine
        return updates

    return write


async def _read(engine: Engine, repository: RepositoryView, name: RefName) -> RefValue:
    found = await engine.refs.find(repository.store_id, name)
    if found is None:
        raise ref_missing(name)
    return found


def ref_missing(name: RefName) -> RefMissing:
    """Return the error for a ref that is not there."""
    message = f"Reference does not exist: {show(name)}"
    return RefMissing(message, FieldProblem("ref", "missing", message))


def ref_exists(name: RefName) -> RefExists:
    """Return the error for a new ref that is there."""
    message = f"Reference already exists: {show(name)}"
    return RefExists(message, FieldProblem("ref", "already_exists", message))
