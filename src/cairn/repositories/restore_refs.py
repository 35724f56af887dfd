"""Bringing refs back to where they were at some moment, from the ref log: a bad push or a wrong deletion is undone.

The way back is a push like any other: one transaction, logged, audited, told to whoever listens, and undone in turn by
restoring to the moment before. What collection has dropped meanwhile is told, not guessed.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid
from cairn.base.ids import random_id
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.models import PurgedRoot, RefLog
from cairn.git.quarantine import Quarantine
from cairn.git.reading import open_repository
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.retention import REF_LOG_KEPT
from cairn.git.types import ZERO_OID, Oid, RefName
from cairn.repositories.accept_push import make_within
from cairn.repositories.wiki.landing import make_wiki_within


class MomentOutOfReach(Invalid):
    """The ref log does not reach back to the moment, or the moment lies ahead."""


class RefsKeptMoving(Conflict):
    """Somebody pushed while the refs were restored."""


@dataclass(frozen=True, slots=True)
class RefChange:
    """A ref that is elsewhere than it was: ``now`` and ``then``, ZERO_OID where there is none.

    ``is_available``: the repository still has what it pointed to (a ref that was not there needs nothing).
    """

    name: RefName
    now: Oid
    then: Oid
    is_available: bool


async def plan_ref_restore(
    engine: Engine, store_id: int, at: datetime, *, names: Collection[RefName] = ()
) -> list[RefChange]:
    """Return what differs between the refs now and at a moment, by name; ``names`` limits it, none means all.

    Errors: MomentOutOfReach.
    """
    now = await engine.database.now()
    if not now - REF_LOG_KEPT < at <= now:
        raise MomentOutOfReach(
            f"{at:%Y-%m-%d %H:%M:%S} UTC is out of reach: the ref log goes back to "
            f"{now - REF_LOG_KEPT:%Y-%m-%d %H:%M} UTC."
        )
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    present = {ref.name: ref.oid for ref in snapshot.refs}
    then = await _values_at(engine.database, store_id, at)
    wanted = [name for name in sorted(then) if not names or name in names]
    moved = [name for name in wanted if then[name] != present.get(name, ZERO_OID)]
    async with engine.view(snapshot.fresher(state)) as view:
        there = await asyncio.to_thread(_those_there, view.path, {then[name] for name in moved})
    there -= await _purged(engine.database, store_id)
    return [RefChange(name, present.get(name, ZERO_OID), then[name], then[name] in there) for name in moved]


async def restore_refs(
    engine: Engine,
    store_id: int,
    repository_id: int,
    actor: Actor,
    changes: Sequence[RefChange],
    *,
    is_wiki: bool = False,
) -> list[RefOutcome]:
    """Move the refs of a plan back, all or none; return what became of each. Those not available are left out.
    ``is_wiki``: the store is the one of the repository's wiki.

    Errors: RefsKeptMoving if a ref is no longer where the plan saw it; Forbidden; what a push can meet.
    """
    updates = [RefUpdate(change.name, change.now, change.then) for change in changes if change.is_available]

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        return updates

    if not updates:
        return []
    staged = await engine.stage(store_id, write)
    within = (make_wiki_within if is_wiki else make_within)(actor, repository_id)
    outcomes = await engine.land(staged, push_id=random_id(), actor=actor.label, within=within)
    refused = [outcome for outcome in outcomes if not outcome.moved]
    if refused:
        raise RefsKeptMoving(f"nothing was restored: {refused[0].refusal}")
    return list(outcomes)


async def _values_at(database: Database, store_id: int, at: datetime) -> dict[RefName, Oid]:
    """Return where every ref was that changed at any time the log still knows; ZERO_OID where it was not."""
    then: dict[RefName, Oid] = {}
    async with database.read() as session:
        # Primary key of git_ref_log: in the order of the changes.
        lines = await session.stream(
            select(RefLog.name, RefLog.old_oid, RefLog.new_oid, RefLog.at)
            .where(RefLog.store_id == store_id)
            .order_by(RefLog.ref_version, RefLog.position)
        )
        async for name, old, new, moved_at in lines:
            if moved_at <= at:
                then[bytes(name)] = Oid(new)
            else:
                then.setdefault(bytes(name), Oid(old))
    return then


def _those_there(git_dir: Path, oids: Collection[Oid]) -> set[Oid]:
    repository = open_repository(git_dir)
    return {oid for oid in oids if oid == ZERO_OID or oid in repository}


async def _purged(database: Database, store_id: int) -> set[Oid]:
    async with database.read() as session:
        found = await session.scalars(select(PurgedRoot.oid).where(PurgedRoot.store_id == store_id))
        return {Oid(oid) for oid in found}
