"""Networks of forks: who is whose parent, and what happens to forks when a parent goes, narrows or shuts people out.

The rules, in the words of ``docs/guides/forks.md``: a fork is never open to more people than its parent. A parent that
is deleted hands its forks to its own parent, or they become roots. A parent that narrows lets go of the forks that stay
wider. Who reads a private fork reads its parent: others cannot be let in, and who loses the parent loses the fork.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.models import Grant
from cairn.access.roles import Visibility
from cairn.audit.record import record
from cairn.base.actor import SYSTEM, Actor, ActorKind
from cairn.base.errors import FieldProblem, Invalid
from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.git.models import ManifestEntry, ManifestKind
from cairn.identity.models import Account, AccountKind
from cairn.jobs.queue import enqueue
from cairn.repositories.models import Repository, RepositoryWork, WorkKind, WorkStep
from cairn.repositories.queries import load_scope

OPENNESS = {Visibility.PRIVATE: 0, Visibility.INTERNAL: 1, Visibility.PUBLIC: 2}
"""How many people a visibility lets in, as an order."""

FILL_KIND = "repositories.fill_fork"
SEPARATE_KIND = "repositories.separate_packs"
_RELATIVES_AT_ONCE = 500


class WiderThanParent(Invalid):
    """A fork would be open to people who may not read what it was forked from."""


class NoReaderOfParent(Invalid):
    """Somebody who may not read the private parent cannot be let into a fork of it."""


@dataclass(frozen=True, slots=True)
class Relative:
    """A repository that may hold another one's objects, and its stores."""

    id: int
    store_id: int
    wiki_store_id: int | None


class WorkOn(msgspec.Struct, frozen=True):
    """The payload of jobs about one repository."""

    repository_id: int


async def leave_network(session: AsyncSession, repository: Repository) -> None:
    """No repository has this one for a parent any more: before it is deleted, under its lock."""
    for fork in await _forks_of(session, repository.id):
        fork.parent_id, fork.former_parent_id = repository.parent_id, repository.id
        await _set_source(session, fork, repository.source_id)


async def list_relatives(session: AsyncSession, repository: Repository) -> list[Relative]:
    """Return everything that may hold the repository's objects, itself first: its network, and what parted from it.

    Those are what was deleted, and may come back, and forks that went their own way when it was or when it narrowed.
    """
    found: dict[int, Relative] = {repository.id: Relative(repository.id, repository.store_id, repository.wiki_store_id)}
    asked, waiting = set[int](), {repository.id, repository.source_id or repository.id}
    while waiting:
        batch = sorted(waiting)[:_RELATIVES_AT_ONCE]
        asked.update(batch)
        # Primary key, ix_repository_source_id, ix_repository_former_parent_id
        either = (Repository.id, Repository.source_id, Repository.former_parent_id)
        rows = await session.execute(
            select(*either, Repository.store_id, Repository.wiki_store_id).where(
                or_(*(column.in_(batch) for column in either))
            )
        )
        for number, source_id, former_id, store_id, wiki_store_id in rows:
            found.setdefault(number, Relative(number, store_id, wiki_store_id))
            waiting |= {each for each in (number, source_id, former_id) if each is not None}
        waiting -= asked
    return list(found.values())


async def require_parent_allows(session: AsyncSession, repository: Repository, visibility: Visibility) -> None:
    """Return if the repository may have this visibility; WiderThanParent if that is more than its parent has."""
    if repository.parent_id is None:
        return
    parent = await session.get(Repository, repository.parent_id)
    if parent is not None and OPENNESS[visibility] > OPENNESS[parent.visibility]:
        message = f"A fork of a {parent.visibility.value} repository cannot be {visibility.value}."
        raise WiderThanParent(message, FieldProblem("visibility", "invalid", message, "Repository"))


async def after_narrowing(session: AsyncSession, actor: Actor, repository: Repository) -> None:
    """A repository that fewer people may read than before lets go of wider forks and gets packs of its own.

    The packs follow by a job; ``separation_of`` tells whether it is done. The repository's lock is held.
    """
    for fork in await _forks_of(session, repository.id):
        if OPENNESS[fork.visibility] > OPENNESS[repository.visibility]:
            fork.parent_id, fork.former_parent_id = None, repository.id
            await _set_source(session, fork, None)
    await _begin_separation(session, actor, repository)


async def work_of(session: AsyncSession, repository_id: int, kind: WorkKind) -> RepositoryWork | None:
    """Return the work under way with a repository; None without any."""
    return await session.get(RepositoryWork, (repository_id, kind))


async def require_reader_of_parent(session: AsyncSession, repository: Repository, account: Account) -> None:
    """Return if an account may be let into the repository; NoReaderOfParent for a fork of what is closed to it."""
    if repository.parent_id is not None and not await _reads(session, account, repository.parent_id):
        message = f"{account.login} cannot read the private repository this was forked from, so not its fork either."
        raise NoReaderOfParent(message, FieldProblem("username", "invalid", message, "Collaborator"))


async def list_private_forks(session: AsyncSession, *, after: int, limit: int) -> Sequence[int]:
    """Return the ids of forks that not everybody may read, of parents that not everybody may read, above ``after``."""
    parent = select(Repository.id).where(Repository.visibility == Visibility.PRIVATE)
    found = await session.scalars(
        select(Repository.id)
        .where(
            Repository.id > after,
            Repository.parent_id.in_(parent),
            Repository.visibility == Visibility.PRIVATE,
        )
        .order_by(Repository.id)
        .limit(limit)
    )
    return found.all()


async def guard_private_fork(session: AsyncSession, fork_id: int) -> None:
    """Only readers of the private parent have a role on its fork, and its owner is one of them or it is withheld.

    A fork whose owner reads the parent again is given back. An organization's fork stays with the organization.
    """
    fork = await session.scalar(select(Repository).where(Repository.id == fork_id).with_for_update())
    if fork is None or fork.parent_id is None:
        return
    for grant in await session.scalars(select(Grant).where(Grant.repository_id == fork_id)):
        account = await session.get_one(Account, grant.account_id)
        if not await _reads(session, account, fork.parent_id):
            await session.delete(grant)
            details = {"old_role": grant.role.value, "new_role": "", "reason": "no access to the parent any more"}
            record(session, SYSTEM, "repository.collaborator", account.login, account_id=account.id,
                   repository_id=fork_id, details=details)  # fmt: skip
    owner = await session.get_one(Account, fork.owner_id)
    is_withheld = owner.kind is AccountKind.USER and not await _reads(session, owner, fork.parent_id)
    if is_withheld != fork.is_withheld:
        fork.is_withheld = is_withheld
        action = "repository.withhold" if is_withheld else "repository.give_back"
        record(session, SYSTEM, action, f"{owner.login}/{fork.name}", repository_id=fork_id)


async def private_forks_of(session: AsyncSession, repository_id: int) -> list[int]:
    """Return the ids of the private forks below a repository, level by level."""
    found: list[int] = []
    level = [repository_id]
    while level:
        below = await session.scalars(
            select(Repository.id).where(Repository.parent_id.in_(level), Repository.visibility == Visibility.PRIVATE)
        )
        level = list(below)
        found += level
    return found


async def _reads(session: AsyncSession, account: Account, repository_id: int) -> bool:
    """Tell whether an account may read a repository that not everybody may; True for one that is gone."""
    person = Actor(
        ActorKind.USER,
        account.id,
        account.login,
        is_site_admin=account.is_site_admin,
    )
    scope = await load_scope(session, person, repository_id)
    return scope is None or decide(person, Action.REPOSITORY_READ, scope).allowed


async def _forks_of(session: AsyncSession, repository_id: int) -> Sequence[Repository]:
    # ix_repository_parent_id
    found = await session.scalars(
        select(Repository).where(Repository.parent_id == repository_id).order_by(Repository.id).with_for_update()
    )
    return found.all()


async def _set_source(session: AsyncSession, fork: Repository, source_id: int | None) -> None:
    """Give a fork and everything below it another root; None makes the fork itself the root."""
    fork.source_id = source_id
    await session.flush()
    level, root = [fork.id], source_id or fork.id
    while level:
        below = await session.scalars(select(Repository.id).where(Repository.parent_id.in_(level)))
        level = list(below)
        await session.execute(
            update(Repository)
            .where(Repository.id.in_(level))
            .values(source_id=root)
            .execution_options(synchronize_session=False)
        )


async def _begin_separation(session: AsyncSession, actor: Actor, repository: Repository) -> None:
    # Primary key of git_manifest.
    shares = select(
        exists(
            select(literal(1)).where(
                ManifestEntry.store_id == repository.store_id, ManifestEntry.kind == ManifestKind.BASE
            )
        )
    )
    if not await session.scalar(shares):
        return
    work = await work_of(session, repository.id, WorkKind.SEPARATE)
    if work is None:
        session.add(
            RepositoryWork(
                repository_id=repository.id,
                kind=WorkKind.SEPARATE,
                step=WorkStep.WAITING,
                failure="",
                default_branch_only=False,
                push_id=random_id(),
                actor_id=actor.account_id,
                started_at=await database_now(session),
            )
        )
        await session.flush()
    unique_key = f"{SEPARATE_KIND}:{repository.id}"
    await enqueue(session, SEPARATE_KIND, WorkOn(repository.id), unique_key=unique_key)
