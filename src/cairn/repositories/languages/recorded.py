"""The languages of each repository as they were last counted: kept by the worker, read by pages and the API."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.models import Store
from cairn.jobs.queue import enqueue
from cairn.repositories.languages.counting import Counted
from cairn.repositories.models import Repository, RepositoryLanguages

COUNT_KIND = "repositories.count_languages"
LANGUAGES_KEPT_MAX = 100
"""The rest of a repository with more is left out, the smallest first."""


class CountOf(msgspec.Struct, frozen=True):
    """Whose languages are to be counted."""

    repository_id: int


async def ask_for_count(session: AsyncSession, repository_id: int) -> None:
    """Let a worker count a repository's languages after this transaction; once, however often this is said before."""
    await enqueue(session, COUNT_KIND, CountOf(repository_id), unique_key=f"{COUNT_KIND}:{repository_id}")


async def read_languages(session: AsyncSession, repository_id: int) -> Mapping[str, int]:
    """Return bytes by language, the largest first; empty where nothing is counted yet or there is no code."""
    # Primary key of repository_languages.
    sizes = await session.scalar(
        select(RepositoryLanguages.sizes).where(RepositoryLanguages.repository_id == repository_id)
    )
    return dict(sorted((sizes or {}).items(), key=lambda item: (-item[1], item[0])))


async def load_languages(database: Database, repository_id: int) -> Mapping[str, int]:
    """Return the same in a transaction of its own, for pages that go on to read git."""
    async with database.read() as session:
        return await read_languages(session, repository_id)


async def counted_tree(session: AsyncSession, repository_id: int) -> str | None:
    """Return the tree that was counted last; None if none was."""
    return await session.scalar(
        select(RepositoryLanguages.tree_oid).where(RepositoryLanguages.repository_id == repository_id)
    )


async def record_languages(session: AsyncSession, repository_id: int, tree_oid: str, counted: Counted) -> None:
    """Keep what a tree is written in, and the main language in the repository's own row."""
    # The row of the repository first: two counts of one repository come one after the other.
    repository = await session.get(Repository, repository_id, with_for_update=True)
    if repository is None:
        return
    moment = await database_now(session)
    row = await session.get(RepositoryLanguages, repository_id)
    if row is None:
        row = RepositoryLanguages(repository_id=repository_id)
        session.add(row)
    row.tree_oid = tree_oid
    row.sizes = dict(list(counted.sizes.items())[:LANGUAGES_KEPT_MAX])
    row.is_complete = counted.is_complete
    row.counted_at = moment
    if repository.language != counted.main:
        # Not through the object: pages keep their validator by updated_at, which is for people's changes.
        await session.execute(update(Repository).where(Repository.id == repository_id).values(language=counted.main))


async def list_uncounted(session: AsyncSession, *, after: int, limit: int) -> Sequence[int]:
    """Return repositories that were pushed to and never counted, by number: from before there were counts, or forks."""
    found = await session.scalars(
        select(Repository.id)
        .join(Store, Store.id == Repository.store_id)
        .outerjoin(RepositoryLanguages, RepositoryLanguages.repository_id == Repository.id)
        .where(Repository.id > after, Store.pack_bytes > 0, RepositoryLanguages.repository_id.is_(None))
        .order_by(Repository.id)
        .limit(limit)
    )
    return found.all()
