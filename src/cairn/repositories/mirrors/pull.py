"""Bringing a repository in step with the one it follows: what is gone there goes, then what is new there comes.

Nothing is forced but what the mirror owns. Rules hold: what they refuse is skipped, with the reason.
"""

from collections.abc import Collection

from cairn.base.ids import random_id
from cairn.git.landing import Within
from cairn.git.ref_queries import RefSnapshot
from cairn.git.ref_transaction import RefUpdate
from cairn.git.remote_fetch import FetchProgress, Remote, RemoteRefs
from cairn.git.types import ZERO_OID, Oid, RefName, show
from cairn.repositories.accept_push import Arrival, make_within
from cairn.repositories.imports.lfs_objects import bring_large_objects
from cairn.repositories.imports.refs import bring_refs, read_remote_refs, within_first
from cairn.repositories.imports.source import open_source
from cairn.repositories.mirrors.models import MirrorRefs
from cairn.repositories.mirrors.scope import scope_of
from cairn.repositories.mirrors.sync import Result, Sync

DELETIONS_AT_ONCE = 1000
_EMPTY = "The source has no branches and no tags; nothing was changed here."


async def pull(sync: Sync) -> Result:
    """The repository has the mirrored refs as the source has them, but for those that are skipped.

    Errors: the fetch's and the stager's; SyncGivenUp, LeaseLost.
    """
    async with open_source(sync.outside, sync.mirror.url, sync.login) as remote:
        return await _pull(sync, remote)


async def _pull(sync: Sync, remote: Remote) -> Result:
    engine, mirror, store_id = sync.engine, sync.mirror, sync.repository.store_id
    found = await read_remote_refs(engine, remote)
    if not found.refs:
        # Rather a server that is being restored than one whose owner wants everything gone everywhere.
        return Result(note=_EMPTY)
    snapshot = await engine.snapshot(await engine.state(store_id))
    head = bytes(snapshot.state.head_target)
    async with sync.context.database.read() as session:
        covers = await scope_of(session, mirror, head_target=head)
    wanted = {name: oid for name, oid in found.refs.items() if covers(name)}
    gone = {ref.name for ref in snapshot.refs if covers(ref.name) and ref.name not in wanted}
    result = Result()
    if mirror.prunes:
        # Before the others come: ``topic`` makes way for ``topic/one``.
        await _delete(sync, snapshot, gone - {head}, result)
    await _bring(sync, remote, found, wanted, result)
    if mirror.prunes and head in gone:
        # Another default branch may have come by now.
        await _delete(sync, snapshot, {head}, result)
    if sync.may_lack_objects(has_changed=result.moved > 0):
        result.note = await _bring_large_objects(sync, remote)
    return result


async def _bring(sync: Sync, remote: Remote, found: RemoteRefs, wanted: dict[RefName, Oid], result: Result) -> None:
    store_id, mirror = sync.repository.store_id, sync.mirror

    async def tell(done: int, fetch: FetchProgress) -> None:
        await sync.still_wanted()

    head = found.head_target if mirror.refs is MirrorRefs.ALL else None
    brought = await bring_refs(
        sync.engine,
        store_id,
        remote,
        wanted,
        head_target=head,
        import_id=f"mirror {mirror.id} {sync.context.job_id}",
        actor=sync.actor.label,
        within=sync.fenced(within_first(head, sync.engine, store_id, _within(sync))),
        tell=tell,
        overwrites=mirror.overwrites,
    )
    result.moved += brought.moved
    result.skipped |= brought.refusals


async def _delete(sync: Sync, snapshot: RefSnapshot, names: Collection[RefName], result: Result) -> None:
    """The repository has these refs no more, where nobody objects."""
    engine = sync.engine
    updates = [RefUpdate(ref.name, ref.oid, ZERO_OID) for ref in snapshot.refs if ref.name in names]
    for start in range(0, len(updates), DELETIONS_AT_ONCE):
        await sync.still_wanted()
        state = await engine.state(sync.repository.store_id)
        part = updates[start : start + DELETIONS_AT_ONCE]
        staged = await engine.stager.stage_deletions(state, part, is_atomic=False)
        outcomes = await engine.land(
            staged, push_id=random_id(), actor=sync.actor.label, within=sync.fenced(_within(sync))
        )
        result.moved += sum(outcome.moved for outcome in outcomes)
        result.skipped |= {show(outcome.name): outcome.refusal for outcome in outcomes if not outcome.moved}


def _within(sync: Sync) -> Within:
    return make_within(sync.actor, sync.repository.id, arrival=Arrival.MIRRORED)


async def _bring_large_objects(sync: Sync, remote: Remote) -> str:
    async def tell(done: int, total: int) -> None:
        await sync.still_wanted()

    brought = await bring_large_objects(
        sync.engine,
        sync.outside,
        remote,
        sync.actor,
        repository_id=sync.repository.id,
        store_id=sync.repository.store_id,
        tell=tell,
    )
    return brought.remark
