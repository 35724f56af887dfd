"""Stars: who likes which repository. The count stands in the repository's row and changes with the stars."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.access.visible import visible
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, NotFound, Unauthenticated
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.models import Account
from cairn.repositories.events import StarChanged
from cairn.repositories.life.models import RepositoryStar
from cairn.repositories.lists import PER_PAGE_MAX
from cairn.repositories.models import ACCESS_COLUMNS, Repository
from cairn.repositories.queries import RepositoryView, find_repository_by_id, views_of

STARS_MAX = 10_000
"""That one account gives; without a bound the list of somebody's stars would have none."""


class TooManyStars(Conflict):
    """The account gave all the stars it has."""


@dataclass(frozen=True, slots=True)
class Stargazer:
    """Somebody who starred a repository, and when."""

    account_id: int
    login: str
    name: str
    starred_at: datetime


@dataclass(frozen=True, slots=True)
class Starred:
    """A repository somebody starred, and when."""

    repository: RepositoryView
    starred_at: datetime


async def own_account_id(session: AsyncSession, actor: Actor) -> int:
    """Return whose stars and watching the actor may change: its own. Errors: Unauthenticated, Forbidden."""
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    await authorize(session, actor, Action.ACCOUNT_STAR, AccountScope(actor.account_id))
    return actor.account_id


async def lock_for_fans(session: AsyncSession, actor: Actor, repository_id: int) -> RepositoryView:
    """Return a repository the actor may read; no other star or watch of it changes until the transaction ends."""
    await session.scalar(select(Repository.id).where(Repository.id == repository_id).with_for_update())
    return await find_repository_by_id(session, actor, repository_id)


async def star(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    """The actor's account has starred the repository, as it may have before.

    Errors: Unauthenticated, NotFound, Forbidden; TooManyStars.
    """
    account_id = await own_account_id(session, actor)
    repository = await lock_for_fans(session, actor, repository_id)
    if await session.get(RepositoryStar, (repository_id, account_id)) is not None:
        return
    # ix_repository_star_account_id_starred_at
    given = await session.scalar(select(func.count()).where(RepositoryStar.account_id == account_id))
    if (given or 0) >= STARS_MAX:
        raise TooManyStars(f"An account gives at most {STARS_MAX:,} stars; take one back first.")
    moment = await database_now(session)
    session.add(RepositoryStar(repository_id=repository_id, account_id=account_id, starred_at=moment))
    await session.flush()
    await _count(session, repository_id, 1)
    _note(session, actor, repository, is_starred=True)


async def unstar(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    """The actor's account has not starred the repository, as it may not have before. Errors: as ``star``."""
    account_id = await own_account_id(session, actor)
    repository = await lock_for_fans(session, actor, repository_id)
    found = await session.get(RepositoryStar, (repository_id, account_id))
    if found is None:
        return
    await session.delete(found)
    await session.flush()
    await _count(session, repository_id, -1)
    _note(session, actor, repository, is_starred=False)


async def require_starred(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    """Return if the actor's account starred the repository; NotFound otherwise."""
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    if await session.get(RepositoryStar, (repository_id, actor.account_id)) is None:
        raise NotFound("Not Found")


async def list_stargazers(
    session: AsyncSession, repository: RepositoryView, *, page: int, per_page: int
) -> list[Stargazer]:
    """Return one page of who starred a repository that the caller has found for its reader, the first first."""
    limit = max(1, min(per_page, PER_PAGE_MAX))
    # Primary keys of repository_star and account.
    rows = await session.execute(
        select(Account.id, Account.login, Account.name, RepositoryStar.starred_at)
        .join(RepositoryStar, RepositoryStar.account_id == Account.id)
        .where(RepositoryStar.repository_id == repository.id)
        .order_by(RepositoryStar.starred_at, Account.id)
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    return [Stargazer(*row) for row in rows]


async def list_starred(
    session: AsyncSession, actor: Actor, account_id: int, *, page: int, per_page: int, descending: bool = True
) -> list[Starred]:
    """Return one page of what an account starred and the actor may see, the latest star first unless turned."""
    limit = max(1, min(per_page, PER_PAGE_MAX))
    when = RepositoryStar.starred_at
    order = (when.desc(), RepositoryStar.repository_id.desc()) if descending else (when, RepositoryStar.repository_id)
    # ix_repository_star_account_id_starred_at, primary key of repository.
    rows = await session.execute(
        select(RepositoryStar.repository_id, when)
        .join(Repository, Repository.id == RepositoryStar.repository_id)
        .where(RepositoryStar.account_id == account_id, visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS))
        .order_by(*order)
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    chosen = [(repository_id, starred_at) for repository_id, starred_at in rows]
    views = await views_of(session, actor, [repository_id for repository_id, _ in chosen])
    return [Starred(views[repository_id], starred_at) for repository_id, starred_at in chosen if repository_id in views]


async def forget_stars(session: AsyncSession, account_id: int, *, limit: int) -> int:
    """Take back up to ``limit`` stars of an account that is gone; return how many were found."""
    found = await session.scalars(
        select(RepositoryStar.repository_id)
        .where(RepositoryStar.account_id == account_id)
        .order_by(RepositoryStar.repository_id)
        .limit(limit)
    )
    ids = list(found)
    for repository_id in ids:
        await session.scalar(select(Repository.id).where(Repository.id == repository_id).with_for_update())
        taken = await session.execute(
            delete(RepositoryStar).where(
                RepositoryStar.repository_id == repository_id, RepositoryStar.account_id == account_id
            )
        )
        await _count(session, repository_id, -taken.rowcount)  # type: ignore[attr-defined]  # a DELETE's result has it
    return len(ids)


async def _count(session: AsyncSession, repository_id: int, by: int) -> None:
    # Not through the object: pages keep their validator by updated_at, which is for its own people's changes.
    await session.execute(
        update(Repository)
        .where(Repository.id == repository_id)
        .values(stars_count=Repository.stars_count + by)
        .execution_options(synchronize_session=False)
    )


def _note(session: AsyncSession, actor: Actor, repository: RepositoryView, *, is_starred: bool) -> None:
    emit(session, StarChanged(repository_id=repository.id, is_starred=is_starred, actor_id=actor.account_id))
    action = "repository.star" if is_starred else "repository.unstar"
    record(session, actor, action, repository.full_name, repository_id=repository.id)
