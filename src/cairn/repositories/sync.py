"""Syncing a fork: its branch gets what its parent's branch of the same name has.

New objects come as rows: the parent cuts an increment of its base packs and the fork's manifest names it. The branch is
fast-forwarded; if both sides moved, the server merges; if they moved against each other, a person has to.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.base.actor import Actor
from cairn.base.clock import Clock, utc_now
from cairn.base.errors import CairnError, Conflict, FieldProblem, Invalid, NotFound
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.fail_points import Step, fail_point
from cairn.git.forks import BaseMoved, cut_base, is_covered, share_base
from cairn.git.history import Objects, count_commits, is_ancestor
from cairn.git.merging import Conflicted, HistoriesUnrelated, merge
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.store_state import lock_stores
from cairn.git.types import ZERO_OID, Oid, RefName, Signature, show
from cairn.identity.commit_authors import commit_author
from cairn.lfs.objects import inherit_objects
from cairn.repositories.accept_push import Arrival, make_within
from cairn.repositories.network import OPENNESS
from cairn.repositories.queries import RepositoryView, branch_ref, find_repository_by_id

COUNTED_MAX = 1000
"""Commits ahead and behind are counted up to here; beyond it pages say "more than"."""

LOOK_SECONDS = 3.0
"""How long a page waits to learn how far a fork is behind."""

PATHS_TOLD = 10
_ATTEMPTS = 3
_log = get_logger(__name__)


class NoFork(Invalid):
    """There is nothing to sync with: the repository is no fork, or its parent is closed to the actor."""


class UpstreamBranchMissing(Invalid):
    """The parent has no branch of that name."""


class SyncConflict(Conflict):
    """Both sides changed the same places, or their histories have nothing in common."""


class SyncKind(StrEnum):
    """How a branch was synced; GitHub's words."""

    FAST_FORWARD = "fast-forward"
    MERGE = "merge"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did; ``upstream`` is the parent's owner and branch as GitHub writes them (``ada:main``)."""

    kind: SyncKind
    upstream: str


@dataclass(frozen=True, slots=True)
class SyncState:
    """How a fork's branch stands to its parent's: commits only it has, commits only the parent has."""

    parent: str
    branch: str
    ahead: int
    behind: int


async def sync_fork(
    database: Database, engine: Engine, actor: Actor, fork: RepositoryView, branch: str, *, clock: Clock = utc_now
) -> Synced:
    """The fork's branch has everything its parent's branch of that name had at the start.

    Errors: NotFound, Forbidden; NoFork; UpstreamBranchMissing; SyncConflict, which says what to do; RefMoved-like
    refusals as Conflict if somebody pushed meanwhile; the engine's.
    """
    require(actor, Action.REPOSITORY_PUSH, fork.scope)
    if actor.account_id is None:
        raise NoFork("Only people sync a fork: the merge is theirs.")
    parent = await _parent_of(database, actor, fork)
    name = branch_ref(branch)
    upstream = await engine.refs.find(parent.store_id, name)
    if upstream is None:
        message = f"Branch {branch[:100]!r} not found in {parent.full_name}."
        raise UpstreamBranchMissing(message, FieldProblem("branch", "missing", message, "Repository"))
    label = f"{parent.owner}:{show(name.removeprefix(b'refs/heads/'))}"
    current = await engine.refs.find(fork.store_id, name)
    if current is not None and current.oid == upstream.oid:
        return Synced(SyncKind.NONE, label)
    await _share(engine, parent, fork, upstream.oid)
    await fail_point(Step.FORK_SHARED)
    async with engine.database.read() as session:
        author = await commit_author(session, engine.settings.host, actor, at=clock())
    kinds: list[SyncKind] = []

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        old = None if current is None else current.oid
        kind, new = await _join(engine, quarantine, old, upstream.oid, author, label, branch)
        kinds.append(kind)
        return [] if kind is SyncKind.NONE else [RefUpdate(name, old or ZERO_OID, new)]

    state = await engine.state(fork.store_id)
    try:
        staged = await engine.stager.stage_written(state, write, based_on=[upstream.oid])
    except HistoriesUnrelated as error:
        raise SyncConflict(_advice(parent, branch, [])) from error
    except _Conflicting as error:
        raise SyncConflict(_advice(parent, branch, error.paths)) from error
    allowed = make_within(actor, fork.id, arrival=Arrival.SYNCED)

    async def within(session: AsyncSession, moving: Sequence[RefUpdate]) -> dict[RefName, str]:
        # No ref of the fork reaches it yet: only a base pack keeps it, and a fork that narrows meanwhile loses those.
        if not await is_covered(session, fork.store_id, [upstream.oid]):
            raise BaseMoved
        refusals = await allowed(session, moving)
        await inherit_objects(session, parent_id=parent.id, fork_id=fork.id)
        return refusals

    if staged.updates:
        outcomes = await engine.land(staged, push_id=random_id(), actor=actor.label, within=within)
        refusal = next((outcome.refusal for outcome in outcomes if not outcome.moved), "")
        if refusal:
            raise Conflict(f"{branch} was not synced: {refusal}")
    return Synced(kinds[0], label)


async def read_sync_state(
    database: Database, engine: Engine, actor: Actor, fork: RepositoryView, branch: str
) -> SyncState | None:
    """Return how the fork's branch stands to its parent's; None if that cannot be told, quickly or at all."""
    if fork.parent_id is None or not fork.parent_name:
        return None
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            parent = await _parent_of(database, actor, fork)
            name = branch_ref(branch)
            theirs, ours = await asyncio.gather(
                engine.refs.find(parent.store_id, name), engine.refs.find(fork.store_id, name)
            )
            if theirs is None or ours is None:
                return None
            ahead, behind = await _count(engine, parent, fork, ours=ours.oid, theirs=theirs.oid)
            return SyncState(parent.full_name, branch, ahead, behind)
    except (CairnError, TimeoutError) as error:
        # The page is worth more than its banner.
        _log.warning("sync_state_unknown", repository_id=fork.id, reason=str(error))
        return None


async def _count(
    engine: Engine, parent: RepositoryView, fork: RepositoryView, *, ours: Oid, theirs: Oid
) -> tuple[int, int]:
    if ours == theirs:
        return 0, 0
    parents_state, forks_state = await asyncio.gather(engine.state(parent.store_id), engine.state(fork.store_id))
    async with engine.view(parents_state) as upstream, engine.view(forks_state) as own:
        both = Objects(own.path, (upstream.objects,))
        ahead = await count_commits(engine.runner, both, [ours], without=[theirs], max_count=COUNTED_MAX)
        behind = await count_commits(engine.runner, both, [theirs], without=[ours], max_count=COUNTED_MAX)
    return ahead, behind


class _Conflicting(Exception):
    def __init__(self, paths: Sequence[bytes]) -> None:
        self.paths = paths


async def _join(
    engine: Engine, quarantine: Quarantine, old: Oid | None, new: Oid, author: Signature, label: str, branch: str
) -> tuple[SyncKind, Oid]:
    objects = Objects(quarantine.path, quarantine.alternates)
    if old is None or await is_ancestor(engine.runner, objects, ancestor=old, descendant=new):
        return SyncKind.FAST_FORWARD, new
    if await is_ancestor(engine.runner, objects, ancestor=new, descendant=old):
        return SyncKind.NONE, old
    merged = await merge(
        engine.runner,
        quarantine,
        base=old,
        head=new,
        author=author,
        committer=author,
        message=f"Merge branch '{label}' into {branch}",
    )
    if isinstance(merged, Conflicted):
        raise _Conflicting(merged.paths)
    return SyncKind.MERGE, merged.oid


async def _share(engine: Engine, parent: RepositoryView, fork: RepositoryView, oid: Oid) -> None:
    """The fork's manifest names base packs with everything ``oid`` reaches; no ref has moved."""

    async def name_packs(session: AsyncSession) -> None:
        await lock_stores(session, sorted({parent.store_id, fork.store_id}))
        await share_base(session, source_id=parent.store_id, target_id=fork.store_id, oids=[oid])

    for attempt in range(1, _ATTEMPTS + 1):
        await cut_base(engine, parent.store_id)
        try:
            # The database may end this one for the sake of another (a deadlock): no news to whoever syncs.
            await engine.database.write_retrying(name_packs)
            return
        except BaseMoved:
            if attempt == _ATTEMPTS:
                raise


async def _parent_of(database: Database, actor: Actor, fork: RepositoryView) -> RepositoryView:
    """Return the parent as the actor sees it; NoFork where there is nothing for them to sync with."""
    message = f"{fork.full_name} has no parent that you can read, so there is nothing to sync with."
    if fork.parent_id is None:
        raise NoFork(message, FieldProblem("branch", "invalid", message, "Repository"))
    try:
        async with database.read() as session:
            parent = await find_repository_by_id(session, actor, fork.parent_id)
    except NotFound:
        raise NoFork(message, FieldProblem("branch", "invalid", message, "Repository")) from None
    assert OPENNESS[parent.visibility] >= OPENNESS[fork.visibility], "a parent that narrows lets go of wider forks"
    return parent


def _advice(parent: RepositoryView, branch: str, paths: Sequence[bytes]) -> str:
    shown = ", ".join(show(path) for path in paths[:PATHS_TOLD]) + (" and more" if len(paths) > PATHS_TOLD else "")
    what = f"Both sides changed {shown}." if paths else "The two histories have nothing in common."
    return (
        f"{branch} cannot be merged with {parent.full_name} without you. {what} "
        f"Fetch {branch} from {parent.full_name}, merge it on your machine, and push the result."
    )
