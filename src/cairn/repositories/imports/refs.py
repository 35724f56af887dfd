"""Bringing refs: group by group, each group fetched, checked and landed before the next begins.

What has landed need not come again, whichever node goes on: a large repository never begins at zero. The default
branch is a group of its own and comes first.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.git.engine import Engine
from cairn.git.landing import Within
from cairn.git.quarantine import open_quarantine
from cairn.git.ref_queries import RefSnapshot
from cairn.git.ref_transaction import RefUpdate
from cairn.git.remote_fetch import FetchProgress, Remote, RemoteRefs, fetch_refs, list_remote_refs
from cairn.git.staging import import_limits
from cairn.git.types import ZERO_OID, Oid, RefName, show

BRANCHES_AT_ONCE = 200
TAGS_AT_ONCE = 1000
REFUSALS_TOLD = 10
DIVERGED = "it has other commits here"

Tell = Callable[[int, FetchProgress], Awaitable[None]]
"""Is told how far it is: refs that are done, and the fetch of the present group."""


@dataclass(slots=True)
class Brought:
    """What became of the refs: how many were looked at, how many moved, and why others did not."""

    done: int = 0
    moved: int = 0
    refusals: dict[str, str] = field(default_factory=dict)

    @property
    def remark(self) -> str:
        """A sentence about what was refused; empty if nothing was."""
        if not self.refusals:
            return ""
        told = "; ".join(f"{name}: {reason}" for name, reason in list(self.refusals.items())[:REFUSALS_TOLD])
        return f"{len(self.refusals)} branches or tags were refused. {told}"


async def read_remote_refs(engine: Engine, remote: Remote) -> RemoteRefs:
    """Return the branches and tags of the source. Errors: as ``list_remote_refs``."""
    async with open_quarantine(engine.cache.quarantines) as quarantine:
        return await list_remote_refs(
            engine.runner, quarantine, remote, name_bytes_max=engine.settings.max_ref_name_bytes
        )


def choose_refs(found: RemoteRefs, *, default_branch_only: bool) -> dict[RefName, Oid]:
    """Return what of the source is wanted."""
    if not default_branch_only or found.head_target is None:
        return dict(found.refs)
    return {found.head_target: found.refs[found.head_target]}


async def bring_refs(
    engine: Engine,
    store_id: int,
    remote: Remote,
    wanted: Mapping[RefName, Oid],
    *,
    head_target: RefName | None,
    import_id: str,
    actor: str,
    within: Within,
    tell: Tell,
    overwrites: bool = False,
) -> Brought:
    """The store has the wanted refs as the source has them, where nobody refused.

    Unless it ``overwrites``, a ref that has other commits here stays. ``import_id`` is another one for every time
    somebody wants this: what landed under it once does not land again.

    Errors: the fetch's, the stager's, what ``within`` and ``tell`` raise.
    """
    brought = Brought()
    for group in _groups(wanted, head_target):
        snapshot = await engine.snapshot(await engine.state(store_id))
        lacking = [name for name in group if _oid(snapshot, name) != wanted[name]]
        if lacking:
            await _bring(engine, store_id, remote, lacking, brought, import_id, actor, within, tell, overwrites)
        brought.done += len(group)
        await tell(brought.done, FetchProgress())
    return brought


async def _bring(
    engine: Engine,
    store_id: int,
    remote: Remote,
    names: Sequence[RefName],
    brought: Brought,
    import_id: str,
    actor: str,
    within: Within,
    tell: Tell,
    overwrites: bool,
) -> None:
    limits = import_limits(engine.settings)
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    state = snapshot.fresher(state)

    async def progress(fetch: FetchProgress) -> None:
        await tell(brought.done, fetch)

    async with (
        engine.view(state) as view,
        open_quarantine(engine.cache.quarantines, alternates=[view.objects]) as quarantine,
    ):
        have = list(snapshot.tips)
        fetched = await fetch_refs(
            engine.runner, quarantine, remote, names, have=have, limits=limits, progress=progress
        )
        updates = [
            RefUpdate(name, _oid(snapshot, name) or ZERO_OID, oid)
            for name, oid in sorted(fetched.refs.items())
            if _oid(snapshot, name) != oid
        ]
        if not updates:
            return
        staged = await engine.stager.stage_push(state, updates, fetched.chunks(), limits=limits, is_atomic=False)
    if not overwrites:
        # What somebody else changed here meanwhile stays.
        foreign = [update for update in staged.updates if not update.is_creation and not update.keeps_old]
        brought.refusals.update({show(update.name): DIVERGED for update in foreign})
        staged = replace(staged, updates=tuple(update for update in staged.updates if update not in foreign))
    if not staged.updates:
        return
    outcomes = await engine.land(staged, push_id=_push_id(import_id, updates), actor=actor, within=within)
    brought.moved += sum(outcome.moved for outcome in outcomes)
    brought.refusals.update({show(outcome.name): outcome.refusal for outcome in outcomes if not outcome.moved})


def within_first(head_target: RefName | None, engine: Engine, store_id: int, within: Within) -> Within:
    """Return ``within``, after HEAD was pointed to the source's default branch if that is born now."""

    async def first(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        if any(update.name == head_target and update.is_creation for update in updates):
            assert head_target is not None
            await engine.set_head(session, store_id, head_target)
        return await within(session, updates)

    return first


def _groups(wanted: Mapping[RefName, Oid], head_target: RefName | None) -> Iterator[list[RefName]]:
    if head_target in wanted:
        assert head_target is not None
        yield [head_target]
    branches = sorted(name for name in wanted if name.startswith(b"refs/heads/") and name != head_target)
    tags = sorted(name for name in wanted if name.startswith(b"refs/tags/"))
    for names, size in ((branches, BRANCHES_AT_ONCE), (tags, TAGS_AT_ONCE)):
        for start in range(0, len(names), size):
            yield names[start : start + size]


def _oid(snapshot: RefSnapshot, name: RefName) -> Oid | None:
    found = snapshot.find(name)
    return None if found is None else found.oid


def _push_id(import_id: str, updates: Sequence[RefUpdate]) -> str:
    """Return the same id for the same landing of the same import: it lands once, whoever tries again."""
    digest = hashlib.sha256(import_id.encode())
    for update in updates:
        digest.update(b"\0".join((update.name, update.old.encode(), update.new.encode())) + b"\n")
    return digest.hexdigest()[:32]
