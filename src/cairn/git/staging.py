"""``stage``: everything a plan needs before its transaction, with no transaction held.

Objects come from a client's pack or from the server's own hand; either way they wait in a quarantine, are checked
(limits, closure, rule A), announced by an upload row and put into the object store. What comes back can land.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from cairn.base.errors import Invalid
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.closure import check_closure
from cairn.git.fail_points import Step, fail_point
from cairn.git.landing import Staged
from cairn.git.node_cache import NodeCache
from cairn.git.object_check import SMALL_FILE_BYTES, check_objects
from cairn.git.pack_files import AnnouncedUpload, UploadedPack, announce_upload, upload_pack
from cairn.git.packfile import PackIndex
from cairn.git.purged_objects import refuse_purged
from cairn.git.quarantine import (
    IndexedPack,
    Limit,
    ObjectMissing,
    PackLimits,
    Quarantine,
    index_pack,
    open_quarantine,
    pack_new_objects,
)
from cairn.git.reading import open_repository, read_object
from cairn.git.ref_queries import RefReader, RefSnapshot, retained_roots
from cairn.git.ref_transaction import RefUpdate, VerifyRef
from cairn.git.runner import GitRunner
from cairn.git.store_state import StoreState
from cairn.git.together import together
from cairn.git.types import Oid, show
from cairn.git.views import Views
from cairn.storage.storage import Storage

HISTORY_STEPS_MAX = 5_000
"""Commits of one push that are read to see whether old values stay reachable; beyond, they become roots themselves."""

Write = Callable[[Quarantine], Awaitable[Sequence[RefUpdate]]]
"""Writes objects into the quarantine and returns the ref updates that need them."""


Inspect = Callable[[RefSnapshot, Quarantine, Sequence[RefUpdate]], Awaitable[Sequence[RefUpdate]]]
"""Looks at a push in its quarantine and returns the updates it lets pass, of those it was given."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Refs that are to move, and the quarantine in which what they bring waits; ``snapshot`` is the refs before.

    ``small_files`` are those of its files that have one of SMALL_FILE_BYTES.
    """

    snapshot: RefSnapshot
    quarantine: Quarantine
    updates: Sequence[RefUpdate]
    small_files: Sequence[Oid] = ()


Examine = Callable[[Waiting], Awaitable[Sequence[RefUpdate]]]
"""Looks into the objects of every plan, whoever stages it; returns its updates with ``findings``."""


class NotACommit(Invalid):
    """A branch would point to something else than a commit."""


def push_limits(settings: Settings, *, is_first: bool) -> PackLimits:
    """Return what a push may bring; a push into an empty repository may bring a whole history."""
    if is_first:
        pack_bytes = Limit(settings.max_first_push_bytes, "CAIRN_MAX_FIRST_PUSH_BYTES")
        objects = Limit(settings.max_first_push_objects, "CAIRN_MAX_FIRST_PUSH_OBJECTS")
    else:
        pack_bytes = Limit(settings.max_push_bytes, "CAIRN_MAX_PUSH_BYTES")
        objects = Limit(settings.max_push_objects, "CAIRN_MAX_PUSH_OBJECTS")
    return PackLimits(
        pack_bytes=pack_bytes,
        objects=objects,
        file_bytes=Limit(settings.max_file_bytes, "CAIRN_MAX_FILE_BYTES"),
        delta_depth=Limit(settings.max_delta_depth, "CAIRN_MAX_DELTA_DEPTH"),
    )


def import_limits(settings: Settings) -> PackLimits:
    """Return what an import may bring."""
    return PackLimits(
        pack_bytes=Limit(settings.max_import_bytes, "CAIRN_MAX_IMPORT_BYTES"),
        objects=Limit(settings.max_import_objects, "CAIRN_MAX_IMPORT_OBJECTS"),
        file_bytes=Limit(settings.max_import_bytes, "CAIRN_MAX_IMPORT_BYTES"),
        delta_depth=Limit(4096, "the delta depth git itself writes at most"),
    )


@dataclass(frozen=True, slots=True)
class Stager:
    """Stages plans for any store with this node's database, object store and cache."""

    database: Database
    storage: Storage
    cache: NodeCache
    views: Views
    refs: RefReader
    runner: GitRunner
    examine: Examine | None = None

    async def stage_push(
        self,
        state: StoreState,
        updates: Sequence[RefUpdate],
        pack: AsyncIterator[bytes],
        *,
        limits: PackLimits,
        is_atomic: bool,
        inspect: Inspect | None = None,
    ) -> Staged:
        """Receive a client's pack for these updates and return the staged plan.

        ``inspect`` looks at what passed the checks and returns the updates that go on; without any the plan is empty.
        Errors: PackTooLarge, PackCorrupt, PackRefused, ObjectMissing, ObjectPurged, NotACommit, the engine's
        Unavailable.
        """
        snapshot = await self.refs.snapshot(state)
        state = snapshot.fresher(state)
        await fail_point(Step.BEFORE_QUARANTINE)
        async with (
            self._making_room(),
            self.views.open(state) as view,
            open_quarantine(self.cache.quarantines, alternates=[view.objects]) as quarantine,
        ):
            received = await index_pack(self.runner, quarantine, pack, limits=limits)
            await fail_point(Step.AFTER_QUARANTINE)
            # Not before the pack came: it may take its hour, and what the refs were then is a root for 14 days.
            checked_at = await self.database.now()
            upload: list[AnnouncedUpload] = []
            small_files: list[Oid] = []

            async def check(received: IndexedPack) -> None:
                small_files.extend(await check_objects(self.runner, quarantine, received, limits=limits))

            async def announce() -> None:
                upload.append(await announce_upload(self.database, state.id, at=checked_at))

            closure = self._check_closure(snapshot, state, quarantine, updates, received)
            if received is None:
                await closure
            else:
                # The row costs a commit, so it is written while the children judge; a refused push leaves it to expire.
                await together(
                    closure,
                    check(received),
                    refuse_purged(self.database, state.id, received),
                    announce(),
                )
            moves: Sequence[RefUpdate] = await asyncio.to_thread(_look_closer, quarantine, updates)
            moves = await self._examined(Waiting(snapshot, quarantine, moves, small_files))
            await fail_point(Step.AFTER_CHECKS)
            if inspect is not None:
                moves = await inspect(snapshot, quarantine, moves)
            uploaded = None
            if received is not None and any(not update.is_deletion for update in moves):
                uploaded = await upload_pack(self.storage, upload[0], received, adopt=self.cache.adopt)
            return _staged(state, moves, uploaded, checked_at, is_atomic=is_atomic)

    async def stage_deletions(
        self, state: StoreState, updates: Sequence[RefUpdate], *, is_atomic: bool, inspect: Inspect | None = None
    ) -> Staged:
        """Return a plan that only deletes refs: it brings no object and relies on none."""
        if inspect is not None:
            snapshot = await self.refs.snapshot(state)
            async with (
                self.views.open(snapshot.fresher(state)) as view,
                open_quarantine(self.cache.quarantines, alternates=[view.objects]) as quarantine,
            ):
                updates = await inspect(snapshot, quarantine, updates)
        return _staged(state, updates, None, await self.database.now(), is_atomic=is_atomic)

    async def stage_written(
        self,
        state: StoreState,
        write: Write,
        *,
        verify: Sequence[VerifyRef] = (),
        is_atomic: bool = True,
        based_on: Sequence[Oid] = (),
        alternates: Sequence[Path] = (),
    ) -> Staged:
        """Let ``write`` make objects on the server and return the plan that lands them.

        Everything the new tips reach and no root does is packed, even what already lies in the view unreferenced:
        rule D, never "it exists already". Closure holds by construction. ``based_on`` are tips of base packs that the
        store names: what they reach is kept whole, whoever refers to it. ``alternates`` are object folders of views
        that the caller keeps open and may copy from: what the new tips reach there is packed like everything else.
        """
        checked_at = await self.database.now()
        snapshot = await self.refs.snapshot(state)
        state = snapshot.fresher(state)
        async with (
            self._making_room(),
            self.views.open(state) as view,
            open_quarantine(self.cache.quarantines, alternates=[view.objects, *alternates]) as quarantine,
        ):
            updates = await write(quarantine)
            tips = [update.new for update in updates if not update.is_deletion]
            written = None
            if tips:
                roots = sorted({ref.oid for ref in snapshot.refs}.union(based_on))
                written = await pack_new_objects(self.runner, quarantine, tips=tips, roots=roots)
                if written is not None:
                    await refuse_purged(self.database, state.id, written)
            looked = await asyncio.to_thread(_look_closer, quarantine, updates)
            small_files = await asyncio.to_thread(_list_small_files, quarantine, written) if written else []
            moves = await self._examined(Waiting(snapshot, quarantine, looked, small_files))
            uploaded = None
            if written is not None:
                upload = await announce_upload(self.database, state.id, at=checked_at)
                uploaded = await upload_pack(self.storage, upload, written, adopt=self.cache.adopt)
            return _staged(state, moves, uploaded, checked_at, is_atomic=is_atomic, verify=verify)

    async def _examined(self, waiting: Waiting) -> Sequence[RefUpdate]:
        if self.examine is None or all(update.is_deletion for update in waiting.updates):
            return waiting.updates
        return await self.examine(waiting)

    @asynccontextmanager
    async def _making_room(self) -> AsyncIterator[None]:
        """Turn a full disk into DiskFull, after evicting what nobody uses: the next push finds room."""
        try:
            yield
        except OSError as error:
            raise await self.cache.make_room(error) from error

    async def _check_closure(
        self,
        snapshot: RefSnapshot,
        state: StoreState,
        quarantine: Quarantine,
        updates: Sequence[RefUpdate],
        pack: IndexedPack | None,
    ) -> None:
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
                all_roots=lambda: self._all_roots(snapshot, state),
            )

    async def _all_roots(self, snapshot: RefSnapshot, state: StoreState) -> list[Oid]:
        async with self.database.read() as session:
            return await retained_roots(session, state, snapshot.tips)


def _staged(
    state: StoreState,
    updates: Sequence[RefUpdate],
    pack: UploadedPack | None,
    checked_at: datetime,
    *,
    is_atomic: bool,
    verify: Sequence[VerifyRef] = (),
) -> Staged:
    return Staged(
        store_id=state.id,
        updates=tuple(updates),
        checked_at=checked_at,
        pack=pack,
        is_atomic=is_atomic,
        verify=tuple(verify),
        cache_epoch=state.cache_epoch,
    )


def _list_small_files(quarantine: Quarantine, pack: IndexedPack) -> list[Oid]:
    """Return the files of a pack that the server made which have one of SMALL_FILE_BYTES. Blocks."""
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    found = []
    with PackIndex.open(pack.path_idx) as index:
        for rank in range(len(index)):
            oid = index.oid_at(rank)
            kind, size = repository.odb.read_header(oid)
            if ObjectType(kind) is ObjectType.BLOB and size in SMALL_FILE_BYTES:
                found.append(oid)
    repository.free()
    return found


def _look_closer(quarantine: Quarantine, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
    """Fill in what annotated tags finally point to and which old values are kept; NotACommit for a branch that would
    point elsewhere. Blocks.
    """
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    steps = iter(range(HISTORY_STEPS_MAX))
    return [
        update
        if update.is_deletion
        else replace(
            _peeled(repository, update),
            keeps_old=not update.is_creation and _reaches(repository, update.new, update.old, steps),
        )
        for update in updates
    ]


def _reaches(repository: pygit2.Repository, new: Oid, old: Oid, steps: Iterator[int]) -> bool:
    """Tell whether a walk back from ``new`` meets ``old`` before the steps are used up."""
    waiting, seen = deque([str(new)]), {str(new)}
    while waiting:
        oid = waiting.popleft()
        if oid == old:
            return True
        if next(steps, None) is None:
            return False
        found: object = repository.get(oid)
        if isinstance(found, pygit2.Commit):
            parents = [str(parent) for parent in found.parent_ids if str(parent) not in seen]
            seen.update(parents)
            waiting.extend(parents)
    return False


def _peeled(repository: pygit2.Repository, update: RefUpdate) -> RefUpdate:
    kind = _kind(repository, update.new)
    if update.name.startswith(b"refs/heads/") and kind is not ObjectType.COMMIT:
        raise NotACommit(f"{show(update.name)} would point to a {kind.name.lower()}; branches point to commits")
    target = update.new
    while kind is ObjectType.TAG:
        tag = read_object(repository, target)
        assert isinstance(tag, pygit2.Tag)
        target = Oid(str(tag.target))
        kind = _kind(repository, target)
    return update if target == update.new else replace(update, peeled=target)


def _kind(repository: pygit2.Repository, oid: Oid) -> ObjectType:
    """Return an object's kind from its header alone: a file may be large."""
    try:
        number, _ = repository.odb.read_header(oid)
    except KeyError:
        raise ObjectMissing(oid) from None
    return ObjectType(number)
