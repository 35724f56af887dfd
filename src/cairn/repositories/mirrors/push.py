"""Bringing another repository in step with this one: large objects first, then deletions, then what is new.

What the other side had besides is overwritten or shown as diverged, as the mirror says.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from cairn.git.quarantine import open_quarantine
from cairn.git.ref_queries import RefSnapshot
from cairn.git.remote_fetch import Remote
from cairn.git.remote_push import DIVERGED_THERE, RemoteChange, RemoteOutcome, push_refs
from cairn.git.together import together
from cairn.git.types import ZERO_OID, Oid, RefName, show
from cairn.repositories.imports.refs import read_remote_refs
from cairn.repositories.imports.source import PUSHING, open_source
from cairn.repositories.mirrors.large_objects import send_large_objects
from cairn.repositories.mirrors.scope import Covers, scope_of
from cairn.repositories.mirrors.sync import Result, Sync

_WATCH_SECONDS = 2.0
_EMPTY = "There are no branches and no tags yet; nothing was changed there."


async def push(sync: Sync) -> Result:
    """The other repository has the mirrored refs as this one has them, but for those that are skipped.

    Errors: as ``push_refs``; SyncGivenUp, LeaseLost.
    """
    engine, mirror = sync.engine, sync.mirror
    snapshot = await engine.snapshot(await engine.state(sync.repository.store_id))
    async with sync.context.database.read() as session:
        covers = await scope_of(session, mirror, head_target=bytes(snapshot.state.head_target))
    ours = {ref.name: ref.oid for ref in snapshot.refs if covers(ref.name)}
    if not ours:
        return Result(note=_EMPTY)
    async with open_source(sync.outside, mirror.url, sync.login, service=PUSHING) as remote:
        return await _push(sync, remote, snapshot, covers, ours)


async def _push(sync: Sync, remote: Remote, snapshot: RefSnapshot, covers: Covers, ours: dict[RefName, Oid]) -> Result:
    engine, mirror = sync.engine, sync.mirror
    found = await read_remote_refs(engine, remote)
    theirs = {name: oid for name, oid in found.refs.items() if covers(name)}
    gone = sorted(set(theirs) - set(ours)) if mirror.prunes else []
    changed = [name for name in _in_order(ours, bytes(snapshot.state.head_target)) if theirs.get(name) != ours[name]]
    result = Result()
    if sync.may_lack_objects(has_changed=bool(changed)):
        sent = await send_large_objects(
            engine,
            sync.outside,
            remote,
            repository_id=sync.repository.id,
            snapshot=snapshot,
            roots=sorted(set(ours.values())),
            tell=sync.still_wanted,
        )
        result.note = sent.remark
    changes = [RemoteChange(name, ZERO_OID) for name in gone] + [RemoteChange(name, ours[name]) for name in changed]
    _note(result, await _send(sync, remote, snapshot, changes))
    return result


async def _send(
    sync: Sync, remote: Remote, snapshot: RefSnapshot, changes: Sequence[RemoteChange]
) -> list[RemoteOutcome]:
    """Make the changes; end at once if the mirror is paused, changed or removed meanwhile."""
    if not changes:
        return []
    engine, ended = sync.engine, asyncio.Event()
    outcomes: list[RemoteOutcome] = []
    deletions = [change for change in changes if change.new == ZERO_OID]
    # The default branch alone: the first that an empty repository gets becomes its own.
    others = changes[len(deletions) :]
    groups = [group for group in (deletions, others[:1], others[1:]) if group]

    async def send() -> None:
        try:
            async with (
                engine.view(snapshot.state) as view,
                open_quarantine(engine.cache.quarantines, alternates=[view.objects]) as quarantine,
            ):
                for group in groups:
                    outcomes.extend(
                        await push_refs(engine.runner, quarantine, remote, group, overwrites=sync.mirror.overwrites)
                    )
        finally:
            ended.set()

    async def watch() -> None:
        while not ended.is_set():
            await sync.still_wanted()
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS):
                    await ended.wait()

    await together(send(), watch())
    return outcomes


def _note(result: Result, outcomes: Sequence[RemoteOutcome]) -> None:
    forced = [outcome for outcome in outcomes if outcome.was_forced]
    result.moved = sum(not outcome.refusal for outcome in outcomes)
    result.skipped = {show(outcome.name): outcome.refusal for outcome in outcomes if outcome.refusal}
    if forced:
        names = ", ".join(show(outcome.name) for outcome in forced[:5]) + (" and more" if len(forced) > 5 else "")
        said = f"Overwritten, because {DIVERGED_THERE}: {names}."
        result.note = f"{said} {result.note}".strip()


def _in_order(ours: dict[RefName, Oid], head: RefName) -> list[RefName]:
    return sorted(ours, key=lambda name: (name != head, name))
