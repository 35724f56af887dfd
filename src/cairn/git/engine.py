"""The engine: everything a program needs to serve, read and change repositories, put together once.

``async with open_engine(...) as engine`` owns the node's cache and the tasks that outlive a request. Features call
``stage_*`` and ``land``; doors call ``upload`` and ``receive``; pages open a view and read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git import fail_points
from cairn.git.fetch_cache import FetchCache
from cairn.git.landing import Staged, Within, land
from cairn.git.manifest import drop_manifest
from cairn.git.node_cache import NodeCache, View
from cairn.git.node_purges import NodePurges
from cairn.git.operator_hooks import open_hooks
from cairn.git.quarantine import sweep_quarantines
from cairn.git.reachability import Reachability
from cairn.git.receive_pack import ReceivePack
from cairn.git.ref_names import check_ref_name
from cairn.git.ref_queries import RefReader, RefSnapshot
from cairn.git.ref_queues import RefQueues
from cairn.git.ref_transaction import RefOutcome, drop_refs
from cairn.git.runner import GitRunner
from cairn.git.staging import Examine, Stager, Write
from cairn.git.store_state import DEFAULT_BRANCH, StoreState, insert_store, lock_stores, read_state
from cairn.git.types import RefName
from cairn.git.upload_pack import UploadPack
from cairn.git.views import Views
from cairn.storage.storage import Storage

_SWEEP_SECONDS = 300
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts, for those who need one; the methods, for what most need."""

    database: Database
    storage: Storage
    settings: Settings
    runner: GitRunner
    cache: NodeCache
    answers: FetchCache
    refs: RefReader
    views: Views
    stager: Stager
    reachability: Reachability
    upload: UploadPack
    receive: ReceivePack
    queues: RefQueues

    async def state(self, store_id: int) -> StoreState:
        """Return the store as it is now; StoreGone if there is none."""
        return await read_state(self.database, store_id)

    async def snapshot(self, state: StoreState) -> RefSnapshot:
        """Return all refs of the store at the state's version or later."""
        return await self.refs.snapshot(state)

    @asynccontextmanager
    async def view(self, state: StoreState) -> AsyncIterator[View]:
        """Yield a directory with every object of the state, kept until the block ends."""
        async with self.views.open(state) as view:
            yield view

    async def create_store(self, session: AsyncSession, *, head_target: RefName = DEFAULT_BRANCH) -> int:
        """Make an empty store in the caller's transaction and return its id."""
        check_ref_name(head_target, max_bytes=self.settings.max_ref_name_bytes)
        return await insert_store(session, head_target)

    async def delete_store(self, session: AsyncSession, store_id: int) -> None:
        """Drop the store's refs and manifest in the caller's transaction; packs nobody else names are condemned.

        The row stays, so that its log, pushes and packs keep their owner until collection takes them.
        """
        store = (await lock_stores(session, [store_id]))[store_id]
        await drop_refs(session, store)
        await drop_manifest(session, store_id)
        store.manifest_version += 1
        store.cache_epoch += 1

    async def set_head(self, session: AsyncSession, store_id: int, target: RefName) -> None:
        """Point HEAD at a branch, born or not, in the caller's transaction."""
        check_ref_name(target, max_bytes=self.settings.max_ref_name_bytes)
        store = (await lock_stores(session, [store_id]))[store_id]
        store.head_target = target
        store.ref_version += 1

    async def stage(self, store_id: int, write: Write) -> Staged:
        """Stage objects that ``write`` makes in a quarantine on the store's present state."""
        return await self.stager.stage_written(await self.state(store_id), write)

    async def land(self, staged: Staged, *, push_id: str, actor: str, within: Within) -> Sequence[RefOutcome]:
        """Make a staged plan true; see ``cairn.git.landing.land``."""
        return await land(self.database, staged, push_id=push_id, actor=actor, within=within)


MakeExamine = Callable[[Settings, Database, GitRunner], Examine]
"""Makes what looks into the objects of every plan."""


@asynccontextmanager
async def open_engine(
    settings: Settings, database: Database, storage: Storage, *, make_examine: MakeExamine | None = None
) -> AsyncIterator[Engine]:
    """Yield the engine of this program; its background work ends with the block.

    Without ``make_examine`` nobody looks into what is staged, and who decides later refuses where somebody should have.
    An error of the block comes out as it is, not in the group of the background tasks.
    """
    fail_points.configure(settings.fail_points)
    cache = NodeCache(settings.cache_path, storage, max_bytes=settings.cache_max_bytes)
    await asyncio.to_thread(sweep_quarantines, cache.quarantines)
    await asyncio.to_thread(cache.sweep_temporary)
    error: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as background:
            answers = FetchCache(cache, storage, background)
            sweeper = background.create_task(_sweep(cache))
            listener = background.create_task(NodePurges(database, cache, answers).listen())
            try:
                yield _assemble(settings, database, storage, cache, answers, make_examine)
            finally:
                sweeper.cancel()
                listener.cancel()
                answers.close()
    except BaseExceptionGroup as failed:
        error = failed.exceptions[0]
    if error is not None:
        raise error


def _assemble(
    settings: Settings,
    database: Database,
    storage: Storage,
    cache: NodeCache,
    answers: FetchCache,
    make_examine: MakeExamine | None,
) -> Engine:
    runner = GitRunner(
        home=cache.root / "home",
        max_children=settings.max_git_children,
        max_packing=settings.max_git_packing,
        deadline_seconds=settings.git_deadline_seconds,
        queue_seconds=settings.git_queue_seconds,
    )
    refs = RefReader(database)
    views = Views(database, cache)
    examine = None if make_examine is None else make_examine(settings, database, runner)
    stager = Stager(database, storage, cache, views, refs, runner, examine)
    reachability = Reachability(database, runner)
    hooks = open_hooks(settings, home=cache.root / "home")
    return Engine(
        database=database,
        storage=storage,
        settings=settings,
        runner=runner,
        cache=cache,
        answers=answers,
        refs=refs,
        views=views,
        stager=stager,
        reachability=reachability,
        upload=UploadPack(
            refs=refs, views=views, cache=cache, answers=answers, reachability=reachability, runner=runner
        ),
        receive=ReceivePack(database=database, settings=settings, refs=refs, stager=stager, hooks=hooks),
        queues=RefQueues(),
    )


async def _sweep(cache: NodeCache) -> None:
    """Delete what dead processes left and keep the cache within its bound, every five minutes, whatever happens."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await asyncio.to_thread(sweep_quarantines, cache.quarantines)
            await asyncio.to_thread(cache.sweep)
            await cache.scrub()
        except Exception:
            # The outermost loop: an error here must not end the program.
            _log.exception("sweep_failed")
