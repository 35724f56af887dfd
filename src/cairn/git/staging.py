"""``stage``: everything a plan needs before its transaction, with no transaction held.

Objects come from a client's pack or from the server's own hand; either way they wait in a quarantine, are checked
(limits, closure, rule A), announced by an upload row and put into the object store. What comes back can land.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.closure import check_closure
from cairn.git.commands import GitCommand
from cairn.git.fail_points import Step, fail_point
from cairn.git.landing import Staged
from cairn.git.node_cache import NodeCache
from cairn.git.pack_files import upload_pack
from cairn.git.quarantine import (
    IndexedPack,
    Limit,
    PackLimits,
    Quarantine,
    check_objects,
    index_pack,
    open_quarantine,
    pack_new_objects,
)
from cairn.git.ref_queries import RefReader, retained_roots
from cairn.git.ref_transaction import RefUpdate, VerifyRef
from cairn.git.runner import GitRunner
from cairn.git.store_state import StoreState
from cairn.git.types import ZERO_OID, Oid
from cairn.git.views import Views
from cairn.storage.storage import Storage

Write = Callable[[Quarantine], Awaitable[Sequence[RefUpdate]]]
"""Writes objects into the quarantine and returns the ref updates that need them."""


def push_limits(settings: Settings, *, is_first: bool) -> PackLimits:
    """Return what a push may bring; a push into an empty repository may bring a whole history."""
    size, count = (
        ("max_first_push_bytes", "max_first_push_objects") if is_first else ("max_push_bytes", "max_push_objects")
    )
    return PackLimits(
        pack_bytes=_limit(settings, size),
        objects=_limit(settings, count),
        file_bytes=_limit(settings, "max_file_bytes"),
        delta_depth=_limit(settings, "max_delta_depth"),
    )


def import_limits(settings: Settings) -> PackLimits:
    """Return what an import may bring."""
    return PackLimits(
        pack_bytes=_limit(settings, "max_import_bytes"),
        objects=_limit(settings, "max_import_objects"),
        file_bytes=_limit(settings, "max_first_push_bytes"),
        delta_depth=Limit(4096, "the delta depth git itself writes at most"),
    )


def _limit(settings: Settings, name: str) -> Limit:
    return Limit(getattr(settings, name), f"CAIRN_{name.upper()}")


@dataclass(frozen=True, slots=True)
class Stager:
    """Stages plans for any store with this node's database, object store and cache."""

    database: Database
    storage: Storage
    cache: NodeCache
    views: Views
    refs: RefReader
    runner: GitRunner

    async def stage_push(
        self,
        state: StoreState,
        updates: Sequence[RefUpdate],
        pack: AsyncIterator[bytes],
        *,
        limits: PackLimits,
        is_atomic: bool,
    ) -> Staged:
        """Receive a client's pack for these updates and return the staged plan.

        Errors: PackTooLarge, PackCorrupt, PackRefused, ObjectMissing, the engine's Unavailable.
        """
        checked_at = await self._now()
        await fail_point(Step.BEFORE_QUARANTINE)
        async with (
            self.views.open(state) as view,
            open_quarantine(self.cache.quarantines, alternates=[view.objects]) as quarantine,
        ):
            received = await index_pack(self.runner, quarantine, pack, limits=limits)
            await fail_point(Step.AFTER_QUARANTINE)
            async with asyncio.TaskGroup() as checks:
                if received is not None:
                    checks.create_task(check_objects(self.runner, quarantine, received, limits=limits))
                checks.create_task(self._check_closure(state, quarantine, updates, received))
            peeled = await self._peel(quarantine, updates)
            await fail_point(Step.AFTER_CHECKS)
            return await self._staged(state, peeled, received, checked_at, is_atomic=is_atomic)

    async def stage_deletions(self, state: StoreState, updates: Sequence[RefUpdate], *, is_atomic: bool) -> Staged:
        """Return a plan that only deletes refs: it brings no object and relies on none."""
        return await self._staged(state, list(updates), None, await self._now(), is_atomic=is_atomic)

    async def stage_written(
        self, state: StoreState, write: Write, *, verify: Sequence[VerifyRef] = (), is_atomic: bool = True
    ) -> Staged:
        """Let ``write`` make objects on the server and return the plan that lands them.

        Everything the new tips reach and no root does is packed, even what already lies in the view unreferenced:
        rule D, never "it exists already". Closure holds by construction.
        """
        checked_at = await self._now()
        async with (
            self.views.open(state) as view,
            open_quarantine(self.cache.quarantines, alternates=[view.objects]) as quarantine,
        ):
            updates = await write(quarantine)
            tips = [update.new for update in updates if not update.is_deletion]
            snapshot = await self.refs.snapshot(state)
            written = None
            if tips:
                roots = sorted({ref.oid for ref in snapshot.refs})
                written = await pack_new_objects(self.runner, quarantine, tips=tips, roots=roots)
            peeled = await self._peel(quarantine, updates)
            return await self._staged(state, peeled, written, checked_at, is_atomic=is_atomic, verify=verify)

    async def _now(self) -> datetime:
        """Return the database's time: the plan's age counts from before its roots are read."""
        async with self.database.read() as session:
            return await database_now(session)

    async def _check_closure(
        self, state: StoreState, quarantine: Quarantine, updates: Sequence[RefUpdate], pack: IndexedPack | None
    ) -> None:
        snapshot = await self.refs.snapshot(state)
        head = snapshot.find(state.head_target)
        olds = [update.old for update in updates if not update.is_creation and update.old in snapshot.tips]
        known = [*olds, *([head.oid] if head else [])]
        tips = list(dict.fromkeys(update.new for update in updates if not update.is_deletion))
        # A new name for a present tip relies on nothing new.
        tips = [tip for tip in tips if tip not in snapshot.tips] if pack is None else tips
        if tips:
            await check_closure(
                self.runner,
                quarantine,
                tips=tips,
                pack=pack,
                known=known,
                all_roots=lambda: self._all_roots(state),
            )

    async def _all_roots(self, state: StoreState) -> list[Oid]:
        async with self.database.read() as session:
            return await retained_roots(session, state.id)

    async def _peel(self, quarantine: Quarantine, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
        """Fill in what annotated tags point to; one child, and none if nothing below refs/tags/ is set."""
        tags = [update.new for update in updates if update.name.startswith(b"refs/tags/") and not update.is_deletion]
        if not tags:
            return list(updates)
        asked = "".join(f"{oid}\n{oid}^{{}}\n" for oid in tags).encode("ascii")
        output = await self.runner.run(
            GitCommand(name="cat-file", options=("--batch-check",)),
            git_dir=quarantine.path,
            alternates=quarantine.alternates,
            stdin=asked,
        )
        lines = [line.split(b" ")[0].decode("ascii") for line in output.splitlines()]
        peeled = {Oid(lines[at]): Oid(lines[at + 1]) for at in range(0, len(lines) - 1, 2)}
        return [
            RefUpdate(update.name, update.old, update.new, peeled[update.new])
            if update.new != ZERO_OID and peeled.get(update.new, update.new) != update.new
            else update
            for update in updates
        ]

    async def _staged(
        self,
        state: StoreState,
        updates: Sequence[RefUpdate],
        pack: IndexedPack | None,
        checked_at: datetime,
        *,
        is_atomic: bool,
        verify: Sequence[VerifyRef] = (),
    ) -> Staged:
        uploaded = None
        if pack is not None:
            uploaded = await upload_pack(self.database, self.storage, state.id, pack, adopt=self.cache.adopt)
        return Staged(
            store_id=state.id,
            updates=tuple(updates),
            checked_at=checked_at,
            pack=uploaded,
            is_atomic=is_atomic,
            verify=tuple(verify),
        )
