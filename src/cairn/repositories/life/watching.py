"""Watching: how much of a repository somebody wants to hear. Notifications, when there are some, ask here."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.visible import visible
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.models import Account
from cairn.repositories.events import WatchChanged
from cairn.repositories.life.models import RepositoryWatch, WatchLevel, WatchSubject
from cairn.repositories.life.stars import lock_for_fans, own_account_id
from cairn.repositories.lists import PER_PAGE_MAX
from cairn.repositories.models import ACCESS_COLUMNS, Repository
from cairn.repositories.queries import RepositoryView, views_of

WATCHED_MAX = 10_000
"""Repositories one account has a wish for."""
COUNTED = frozenset({WatchLevel.ALL, WatchLevel.CUSTOM})
"""Who has these is a watcher; the others only keep silent or take part."""


class TooManyWatched(Conflict):
    """The account has a wish for as many repositories as it can."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Somebody who watches a repository."""

    account_id: int
    login: str
    name: str


async def read_watch(session: AsyncSession, actor: Actor, repository_id: int) -> RepositoryWatch | None:
    """Return the actor's own wish for a repository; None for "participating", which needs no row."""
    if actor.account_id is None:
        return None
    return await session.get(RepositoryWatch, (repository_id, actor.account_id))


async def set_watch(
    session: AsyncSession,
    actor: Actor,
    repository_id: int,
    level: WatchLevel,
    subjects: Iterable[WatchSubject] = (),
) -> None:
    """The actor's account hears this much of the repository; ``subjects`` are what ``CUSTOM`` chooses.

    Errors: Unauthenticated, NotFound, Forbidden; Invalid for a custom wish for nothing; TooManyWatched.
    """
    account_id = await own_account_id(session, actor)
    chosen = " ".join(one.value for one in WatchSubject if one in set(subjects)) if level is WatchLevel.CUSTOM else ""
    if level is WatchLevel.CUSTOM and not chosen:
        message = "Choose at least one subject to hear of."
        raise Invalid(message, FieldProblem("subjects", "missing_field", message))
    repository = await lock_for_fans(session, actor, repository_id)
    row = await session.get(RepositoryWatch, (repository_id, account_id))
    before = WatchLevel.PARTICIPATING if row is None else row.level
    if before is level and (row is None or row.subjects == chosen):
        return
    if level is WatchLevel.PARTICIPATING:
        await session.delete(row)
    elif row is None:
        await _require_room(session, account_id)
        session.add(
            RepositoryWatch(
                repository_id=repository_id,
                account_id=account_id,
                level=level,
                subjects=chosen,
                watched_at=await database_now(session),
            )
        )
    else:
        row.level, row.subjects = level, chosen
    await session.flush()
    await _count(session, repository_id, (level in COUNTED) - (before in COUNTED))
    emit(session, WatchChanged(repository_id=repository_id, level=level.value, actor_id=actor.account_id))
    changes = {"level": (before.value, level.value)}
    record(session, actor, "repository.watch", repository.full_name, repository_id=repository_id, changes=changes)


async def list_watchers(
    session: AsyncSession, repository: RepositoryView, *, page: int, per_page: int
) -> list[Watcher]:
    """Return one page of who watches a repository that the caller has found for its reader, the first first."""
    limit = max(1, min(per_page, PER_PAGE_MAX))
    # Primary keys of repository_watch and account.
    rows = await session.execute(
        select(Account.id, Account.login, Account.name)
        .join(RepositoryWatch, RepositoryWatch.account_id == Account.id)
        .where(RepositoryWatch.repository_id == repository.id, RepositoryWatch.level.in_(sorted(COUNTED)))
        .order_by(RepositoryWatch.watched_at, Account.id)
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    return [Watcher(*row) for row in rows]


async def list_watched(
    session: AsyncSession, actor: Actor, account_id: int, *, page: int, per_page: int
) -> list[RepositoryView]:
    """Return one page of what an account watches and the actor may see, the latest first."""
    limit = max(1, min(per_page, PER_PAGE_MAX))
    # ix_repository_watch_account_id_watched_at, primary key of repository.
    chosen = await session.scalars(
        select(RepositoryWatch.repository_id)
        .join(Repository, Repository.id == RepositoryWatch.repository_id)
        .where(
            RepositoryWatch.account_id == account_id,
            RepositoryWatch.level.in_(sorted(COUNTED)),
            visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS),
        )
        .order_by(RepositoryWatch.watched_at.desc(), RepositoryWatch.repository_id.desc())
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    ids = list(chosen)
    views = await views_of(session, actor, ids)
    return [views[one] for one in ids if one in views]


async def forget_watches(session: AsyncSession, account_id: int, *, limit: int) -> int:
    """Take away up to ``limit`` wishes of an account that is gone; return how many were found."""
    # ix_repository_watch_account_id_watched_at
    chosen = select(RepositoryWatch.repository_id).where(RepositoryWatch.account_id == account_id).limit(limit)
    ids = sorted(await session.scalars(chosen))
    for repository_id in ids:
        await session.scalar(select(Repository.id).where(Repository.id == repository_id).with_for_update())
        row = await session.get(RepositoryWatch, (repository_id, account_id), populate_existing=True)
        if row is None:
            continue
        was_counted = row.level in COUNTED
        await session.delete(row)
        await session.flush()
        await _count(session, repository_id, -int(was_counted))
    return len(ids)


async def _require_room(session: AsyncSession, account_id: int) -> None:
    watched = await session.scalar(select(func.count()).where(RepositoryWatch.account_id == account_id))
    if (watched or 0) >= WATCHED_MAX:
        raise TooManyWatched(f"An account watches or ignores at most {WATCHED_MAX:,} repositories; drop one first.")


async def _count(session: AsyncSession, repository_id: int, by: int) -> None:
    if by:
        await session.execute(
            update(Repository)
            .where(Repository.id == repository_id)
            .values(watchers_count=Repository.watchers_count + by)
            .execution_options(synchronize_session=False)
        )
