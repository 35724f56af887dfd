"""Forking: a repository of one's own that begins where another one is, by naming its packs.

The fork's row is made first, then its branches and tags land with the rows that name the parent's base packs. If the
base is complete that takes two short transactions, whatever the size. Else a job cuts it first; ``RepositoryWork`` says
how far it is, and pages show it. What was pushed to the fork meanwhile stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import ScopeLoader, authorize
from cairn.access.roles import Visibility
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFound, Unauthenticated
from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.fail_points import Step, fail_point
from cairn.git.forks import BaseMoved, is_covered, open_refs, share_base
from cairn.git.landing import Staged
from cairn.git.models import Store
from cairn.git.purged_objects import inherit_purged
from cairn.git.ref_queries import RefSnapshot, RefValue
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, RefName
from cairn.identity.authenticate import refresh_actor
from cairn.identity.models import Account, AccountKind
from cairn.jobs.queue import enqueue
from cairn.lfs.objects import inherit_objects
from cairn.repositories.create import NewRepository, check_texts, insert_repository, list_possible_owners
from cairn.repositories.events import RepositoryForked
from cairn.repositories.languages.recorded import ask_for_count
from cairn.repositories.models import Repository, RepositoryWork, WorkKind, WorkStep
from cairn.repositories.names import check_repository_name
from cairn.repositories.network import FILL_KIND, OPENNESS, WorkOn, work_of
from cairn.repositories.queries import RepositoryView, find_repository_by_id, load_scope

FREE_NAMES_TRIED = 20


class ForkNotPossible(Invalid):
    """This repository cannot be forked there."""


class ForkFailed(Conflict):
    """A fork that was begun cannot get its parent's data any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFork:
    """What a person says of a fork to be; without a name it gets the parent's, or that with a number."""

    owner: str = ""
    """The account that is to own it; the actor's own if empty."""
    name: str = ""
    description: str | None = None
    """None for the parent's."""
    default_branch_only: bool = False


@dataclass(frozen=True, slots=True)
class Forked:
    """A fork; ``is_new`` is False for one that was there already, ``is_ready`` while it has no data yet."""

    repository: RepositoryView
    is_new: bool
    is_ready: bool


async def fork_repository(
    database: Database, engine: Engine, actor: Actor, parent: RepositoryView, wanted: NewFork
) -> Forked:
    """Fork a repository the actor may read, or return the fork that its owner has already.

    Errors: Unauthenticated; NotFound; Forbidden; RepositoryNameInvalid, RepositoryExists, ForkNotPossible, Invalid.
    """
    if actor.account_id is None:
        raise Unauthenticated("Sign in to fork a repository.")
    async with database.write() as session:
        fork_id, is_new = await _make_row(session, engine, actor, parent, wanted)
    await fail_point(Step.FORK_MADE)
    is_ready = await fill_fork(engine, fork_id, actor)
    async with database.read() as session:
        return Forked(await find_repository_by_id(session, actor, fork_id), is_new, is_ready)


async def fill_fork(engine: Engine, fork_id: int, actor: Actor | None = None) -> bool:
    """The fork has its parent's branches and tags, unless the parent's base must be cut first: then False.

    ``actor`` is who began it; read from the work's row if not given. Lands once, whoever calls it how often. Errors:
    ForkFailed when it can never be done, what reading the parent raises, the engine's.
    """
    async with engine.database.read() as session:
        work = await work_of(session, fork_id, WorkKind.FILL)
        if work is None:
            return True
        if work.step is WorkStep.FAILED:
            return False
        actor = actor or await _actor_of(session, work)
        fork, parent = await _fork_and_parent(session, fork_id)
    snapshot = await engine.snapshot(await engine.state(parent.store_id))
    refs = _chosen_refs(snapshot, default_branch_only=work.default_branch_only)
    async with engine.database.read() as session:
        if not await is_covered(session, parent.store_id, [ref.oid for ref in refs]):
            return False
    updates = tuple(RefUpdate(ref.name, ZERO_OID, ref.oid, ref.peeled) for ref in refs)

    async def within(session: AsyncSession, moving: Sequence[RefUpdate]) -> dict[RefName, str]:
        # Rulesets of its organization hold from the next push on, as in a repository that is transferred to it.
        await _require_still_readable(session, actor, fork_id)
        oids = [update.new for update in moving]
        await share_base(session, source_id=parent.store_id, target_id=fork.store_id, oids=oids)
        await _finish(session, fork_id)
        return {}

    if not updates:
        await _finish_alone(engine.database, fork_id)
        return True
    staged = Staged(store_id=fork.store_id, updates=updates, checked_at=await engine.database.now())
    try:
        outcomes = await engine.land(staged, push_id=work.push_id, actor=actor.label, within=within)
    except BaseMoved:
        return False
    if not any(outcome.moved for outcome in outcomes):
        await _finish_alone(engine.database, fork_id)  # all these names were pushed to the fork meanwhile
    return True


def _chosen_refs(snapshot: RefSnapshot, *, default_branch_only: bool) -> list[RefValue]:
    head = snapshot.find(snapshot.state.head_target)
    if default_branch_only and head is not None:
        return [head]
    return open_refs(snapshot)


async def _make_row(
    session: AsyncSession, engine: Engine, actor: Actor, parent: RepositoryView, wanted: NewFork
) -> tuple[int, bool]:
    """Return the fork's id, and whether it is new; the lock on the parent keeps two forks of one owner apart."""
    locked = await session.scalar(select(Repository).where(Repository.id == parent.id).with_for_update())
    if locked is None:
        raise NotFound("Not Found")
    await authorize(session, actor, Action.REPOSITORY_READ, _scope_of(parent.id))
    owner_id = await _owner(session, actor, wanted.owner)
    if owner_id == locked.owner_id:
        message = f"{parent.full_name} is there already: fork it to another account."
        raise ForkNotPossible(message, FieldProblem("organization", "invalid", message, "Repository"))
    root_id = locked.source_id or locked.id
    existing = await session.scalar(
        select(Repository.id)
        # ix_repository_source_id
        .where(
            Repository.owner_id == owner_id,
            Repository.is_deleted.is_(False),
            or_(Repository.source_id == root_id, Repository.id == root_id),
        )
        .order_by(Repository.id)
        .limit(1)
    )
    if existing is not None:
        return existing, False
    fork_id = await insert_repository(
        session, engine, actor, owner_id, await _described(session, owner_id, parent, wanted)
    )
    fork = await session.get_one(Repository, fork_id)
    fork.parent_id, fork.source_id = parent.id, root_id
    # Already now, not when it is filled: it can be pushed to at once.
    store = await session.get_one(Store, fork.store_id)
    await inherit_purged(session, source_id=locked.store_id, target=store)
    owner = await session.get_one(Account, owner_id)
    full_name = f"{owner.login}/{fork.name}"
    session.add(
        RepositoryWork(
            repository_id=fork_id,
            kind=WorkKind.FILL,
            step=WorkStep.WAITING,
            failure="",
            default_branch_only=wanted.default_branch_only,
            push_id=random_id(),
            actor_id=actor.account_id,
            started_at=await database_now(session),
        )
    )
    await session.flush()
    await enqueue(session, FILL_KIND, WorkOn(fork_id), unique_key=f"{FILL_KIND}:{fork_id}")
    emit(
        session,
        RepositoryForked(repository_id=parent.id, fork_id=fork_id, fork_full_name=full_name, actor_id=actor.account_id),
    )
    details = {"fork": full_name, "default_branch_only": "yes" if wanted.default_branch_only else "no"}
    record(session, actor, "repository.fork", parent.full_name, repository_id=parent.id, details=details)
    return fork_id, True


async def _described(session: AsyncSession, owner_id: int, parent: RepositoryView, wanted: NewFork) -> NewRepository:
    name = wanted.name.strip() or await free_name(session, owner_id, parent.name)
    check_repository_name(name)
    check_texts(description=wanted.description)
    return NewRepository(
        name=name,
        visibility=await _visibility(session, owner_id, parent),
        description=parent.description if wanted.description is None else wanted.description,
        homepage=parent.homepage,
        default_branch=parent.default_branch,
    )


async def _visibility(session: AsyncSession, owner_id: int, parent: RepositoryView) -> Visibility:
    """Return the parent's visibility; a person's fork of an internal repository is private."""
    owner = await session.get_one(Account, owner_id)
    is_persons = owner.kind is AccountKind.USER
    return Visibility.PRIVATE if is_persons and parent.visibility is Visibility.INTERNAL else parent.visibility


async def free_name(session: AsyncSession, owner_id: int, name: str) -> str:
    """Return the name, or the first of ``name-1``, ``name-2`` and so on that the owner does not use yet."""
    names = [name, *(f"{name}-{number}" for number in range(1, FREE_NAMES_TRIED))]
    # uq_repository_owner_id_name_key
    taken = set(
        await session.scalars(
            select(Repository.name_key).where(
                Repository.owner_id == owner_id, Repository.name_key.in_([one.lower() for one in names])
            )
        )
    )
    return next((one for one in names if one.lower() not in taken), name)


async def _owner(session: AsyncSession, actor: Actor, login: str) -> int:
    assert actor.account_id is not None
    if not login or login.lower() == (actor.login or "").lower():
        return actor.account_id
    found = await session.scalar(select(Account.id).where(Account.login_key == login.lower()))
    if found is None:
        message = f"There is no account {login[:60]!r}."
        raise ForkNotPossible(message, FieldProblem("organization", "invalid", message, "Repository"))
    return found


def _scope_of(repository_id: int) -> ScopeLoader[RepositoryScope]:
    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    return load


async def _actor_of(session: AsyncSession, work: RepositoryWork) -> Actor:
    account = None if work.actor_id is None else await session.get(Account, work.actor_id)
    if account is None:
        raise ForkFailed("The account that began this fork is gone.")
    return Actor(ActorKind.USER, account.id, account.login, is_site_admin=account.is_site_admin)


async def _fork_and_parent(session: AsyncSession, fork_id: int) -> tuple[Repository, Repository]:
    fork = await session.get_one(Repository, fork_id)
    parent = None if fork.parent_id is None else await session.get(Repository, fork.parent_id)
    if parent is None:
        raise ForkFailed("The repository this was to be a fork of is gone.")
    return fork, parent


async def _require_still_readable(session: AsyncSession, actor: Actor, fork_id: int) -> None:
    """Return if the actor may read the parent now, and the fork is open to no more people than the parent."""
    fork, parent = await _fork_and_parent(session, fork_id)
    await session.refresh(parent)
    now_actor = await refresh_actor(session, actor)
    await authorize(session, now_actor, Action.REPOSITORY_READ, _scope_of(parent.id))
    if OPENNESS[fork.visibility] > OPENNESS[parent.visibility]:
        raise ForkFailed("The repository this was to be a fork of is not as open any more as the fork.")


async def _finish_alone(database: Database, fork_id: int) -> None:
    async with database.write() as session:
        await _finish(session, fork_id)


async def _finish(session: AsyncSession, fork_id: int) -> None:
    fork = await session.get_one(Repository, fork_id)
    parent = None if fork.parent_id is None else await session.get(Repository, fork.parent_id)
    fork.pushed_at = None if parent is None else parent.pushed_at
    if parent is not None:
        await inherit_objects(session, parent_id=parent.id, fork_id=fork_id)
    await ask_for_count(session, fork_id)
    await session.execute(
        delete(RepositoryWork).where(RepositoryWork.repository_id == fork_id, RepositoryWork.kind == WorkKind.FILL)
    )
    await session.flush()


async def fail_fork(database: Database, fork_id: int, reason: str) -> None:
    """Note why a fork cannot get its parent's data; its page says so."""
    async with database.write() as session:
        work = await work_of(session, fork_id, WorkKind.FILL)
        if work is not None:
            work.step, work.failure = WorkStep.FAILED, reason[:500]


async def owners_for(session: AsyncSession, actor: Actor, parent: RepositoryView) -> list[str]:
    """Return the logins of accounts under which the actor may fork a repository: its own first, then organizations."""
    owners = await list_possible_owners(session, actor)
    return [owner.login for owner in owners if owner.login.lower() != parent.owner.lower()]
