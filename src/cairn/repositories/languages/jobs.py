"""Counting languages behind the scenes: after pushes to the default branch, and of what was never counted."""

from contextlib import closing
from datetime import timedelta

from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.reading import ObjectReader
from cairn.git.store_state import StoreGone, StoreState
from cairn.git.types import Oid
from cairn.jobs.context import JobContext
from cairn.jobs.registry import handler, scheduled
from cairn.repositories.code.revisions import default_revision
from cairn.repositories.languages.counting import Counted, count_tree
from cairn.repositories.languages.recorded import (
    COUNT_KIND,
    CountOf,
    ask_for_count,
    counted_tree,
    list_uncounted,
    record_languages,
)
from cairn.repositories.life.licence_of import find_licence_in, record_licence
from cairn.repositories.models import Repository

COUNT_SECONDS_MAX = 600
_ASKED_AT_ONCE = 500


@handler(COUNT_KIND, deadline_seconds=COUNT_SECONDS_MAX)
async def count(context: JobContext, payload: CountOf) -> None:
    """Count the default branch as it is now, unless its tree is the one that was counted last."""
    await count_languages(context.database, context.service(Engine), payload.repository_id)


async def count_languages(database: Database, engine: Engine, repository_id: int) -> None:
    """Bring a repository's languages and licence up to date with its default branch; without commits it has none."""
    async with database.read() as session:
        repository = await session.get(Repository, repository_id)
        known = await counted_tree(session, repository_id)
    if repository is None:
        return
    try:
        state = await engine.state(repository.store_id)
        tree = await _default_tree(engine, state)
        if tree == known:
            return
        counted = Counted({}, is_complete=True) if tree is None else await count_tree(engine, state, tree)
        licence = "" if tree is None else await find_licence_in(engine, state, tree)
    except StoreGone:
        return
    async with database.write() as session:
        await record_languages(session, repository_id, tree or "0" * 40, counted)
        await record_licence(session, repository_id, licence)


async def _default_tree(engine: Engine, state: StoreState) -> Oid | None:
    revision = await default_revision(engine, state)
    if revision is None:
        return None
    async with engine.view(state) as view:
        with closing(ObjectReader(view.path)) as reader:
            return (await reader.read_commit(revision.commit_oid)).tree_oid


@scheduled("repositories.uncounted_languages", every=timedelta(hours=1))
async def ask_for_uncounted(context: JobContext) -> None:
    """Ask for the counts that no push asked for: of repositories older than counting, and of new forks."""
    async with context.database.write() as session:
        for repository_id in await list_uncounted(session, after=0, limit=_ASKED_AT_ONCE):
            await ask_for_count(session, repository_id)
