"""Repositories that begin with the files of another one, and nothing else of it: no history, no tie but its name.

The new repository gets one commit of its own on each branch it takes. The objects of the trees are read from the
template's packs and packed anew, so what it costs is the size of the files, whatever the history; purges, deletion
and visibility of the template change nothing in what was made from it.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.clock import Clock, utc_now
from cairn.base.errors import Invalid
from cairn.base.ids import random_id
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.models import Store
from cairn.git.purged_objects import inherit_purged
from cairn.git.quarantine import Quarantine
from cairn.git.reading import ObjectReader
from cairn.git.ref_queries import RefSnapshot, RefValue
from cairn.git.ref_transaction import RefUpdate
from cairn.git.store_state import StoreState
from cairn.git.types import ZERO_OID, Oid, RefName, Signature
from cairn.git.writing import write_commit
from cairn.identity.commit_authors import commit_author
from cairn.lfs.objects import inherit_objects
from cairn.repositories.accept_push import Arrival, make_within
from cairn.repositories.create import NewRepository, create_repository, land_first_commit
from cairn.repositories.editing.landing import land_change
from cairn.repositories.models import Repository
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView, find_repository_by_id

BRANCHES_MAX = 100
"""Of a template, that a new repository takes along."""


class NoTemplate(Invalid):
    """The repository is not offered as a template, or has nothing to begin with."""


async def create_from_template(
    database: Database,
    engine: Engine,
    actor: Actor,
    template: RepositoryView,
    wanted: NewRepository,
    *,
    all_branches: bool = False,
    clock: Clock = utc_now,
) -> RepositoryView:
    """Create a repository with the files of a template the actor may read, and return it.

    It has the template's default branch, or all its branches (BRANCHES_MAX), one commit each, and its large objects.
    If only the commit fails the repository stays, empty, and Unavailable says so. Errors: NoTemplate; those of
    ``create_repository``.
    """
    if not template.is_template:
        raise NoTemplate(f"{template.full_name} is not offered as a template.")
    state = await engine.state(template.store_id)
    chosen = _chosen(await engine.snapshot(state), all_branches=all_branches)
    if not chosen:
        raise NoTemplate(f"{template.full_name} has no files to begin with.")
    made = await create_repository(
        database, engine, actor, replace(wanted, default_branch=template.default_branch), clock=clock
    )
    async with database.write() as session:
        await _tie(session, template, made)
    async with database.read() as session:
        author = await commit_author(session, engine.settings.host, actor, at=clock())
    await land_first_commit(engine, actor, made, _copy(engine, actor, state, made, chosen, author))
    async with database.read() as session:
        return await find_repository_by_id(session, actor, made.id, Action.REPOSITORY_SEE)


def _chosen(snapshot: RefSnapshot, *, all_branches: bool) -> list[RefValue]:
    head = snapshot.find(snapshot.state.head_target)
    if head is None:
        return []
    if not all_branches:
        return [head]
    others = [ref for ref in snapshot.refs if ref.name.startswith(BRANCH_PREFIX) and ref.name != head.name]
    return [head, *others[: BRANCHES_MAX - 1]]


async def _tie(session: AsyncSession, template: RepositoryView, made: RepositoryView) -> None:
    """The new repository names its template, has its large objects, and takes nothing that was purged there."""
    await session.execute(
        update(Repository)
        .where(Repository.id == made.id)
        .values(template_id=template.id)
        .execution_options(synchronize_session=False)
    )
    store = await session.get_one(Store, made.store_id)
    await inherit_purged(session, source_id=template.store_id, target=store)
    await inherit_objects(session, parent_id=template.id, fork_id=made.id)


async def _copy(
    engine: Engine,
    actor: Actor,
    state: StoreState,
    made: RepositoryView,
    chosen: Sequence[RefValue],
    author: Signature,
) -> None:
    async with engine.view(state) as view:

        async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
            reader = ObjectReader(quarantine.path, alternates=quarantine.alternates)
            try:
                trees: dict[RefName, Oid] = {ref.name: (await reader.read_commit(ref.oid)).tree_oid for ref in chosen}
            finally:
                reader.close()
            updates = []
            for name, tree in trees.items():
                commit = await write_commit(
                    quarantine, tree=tree, parents=[], author=author, committer=author, message="Initial commit"
                )
                updates.append(RefUpdate(name, ZERO_OID, commit))
            return updates

        staged = await engine.stager.stage_written(await engine.state(made.store_id), write, alternates=(view.objects,))
        within = make_within(actor, made.id, arrival=Arrival.COPIED)
        await land_change(engine, staged, actor, made.id, push_id=random_id(), within=within)
