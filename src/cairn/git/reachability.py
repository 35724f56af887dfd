"""Which objects a reader may ask for by id: those that a root of the last 14 days reaches (RELIABILITY P-5).

Stock git hands out any object of its directory in protocol v2; here every want that is no present tip is proved first.
Positive answers are remembered for an hour: a root keeps what it reaches for 14 days, and a purge raises
``cache_epoch``.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress

from sqlalchemy import select

from cairn.base.errors import NotFound
from cairn.db.database import Database
from cairn.git.history import Objects, find_unreachable
from cairn.git.models import RefLog
from cairn.git.node_cache import View
from cairn.git.reading import open_repository
from cairn.git.ref_queries import retained_roots
from cairn.git.runner import GitFailed, GitRunner
from cairn.git.store_state import StoreState
from cairn.git.types import ZERO_OID, Oid

_REMEMBERED_MAX = 200_000
_REMEMBERED_SECONDS = 3600
"""How much longer than 14 days a proof may outlive its root."""


class NotReachable(NotFound):
    """An object that no root reaches, or that does not exist: the reader is told the same."""

    def __init__(self, oid: Oid) -> None:
        super().__init__(f"upload-pack: not our ref {oid}")
        self.oid = oid


class Reachability:
    """Proves that objects are reachable and remembers what it proved."""

    def __init__(self, database: Database, runner: GitRunner) -> None:
        self._database = database
        self._runner = runner
        self._proved: OrderedDict[tuple[int, int, Oid], float] = OrderedDict()

    def unproved(self, state: StoreState, wanted: Iterable[Oid]) -> set[Oid]:
        """Return those that are not yet known to be reachable."""
        oldest = time.monotonic() - _REMEMBERED_SECONDS
        return {oid for oid in wanted if self._proved.get((state.id, state.cache_epoch, oid), oldest) <= oldest}

    async def require(self, state: StoreState, view: View, wanted: Iterable[Oid], *, tips: Sequence[Oid]) -> None:
        """Return if every object is reachable from a root of the last 14 days; NotReachable names one that is not.

        ``tips`` are the refs of ``state``, the likeliest first: their trees are searched before history is walked.
        """
        missing = await self.find_unreachable(state, view, wanted, tips=tips)
        if missing:
            raise NotReachable(min(missing))

    async def find_unreachable(
        self, state: StoreState, view: View, wanted: Iterable[Oid], *, tips: Sequence[Oid]
    ) -> set[Oid]:
        """Return those objects that no root of the last 14 days reaches, absent ones included."""
        unproved = self.unproved(state, wanted)
        if not unproved:
            return set()
        objects = Objects(view.path)
        left = unproved
        with suppress(GitFailed):  # see below
            left = await find_unreachable(self._runner, objects, unproved, roots=tips[:1], is_quick=True)
        missing = await self._seek_everywhere(state, view, left, tips) if left else left
        self._remember(state, unproved - missing)
        return missing

    async def _seek_everywhere(self, state: StoreState, view: View, wanted: set[Oid], tips: Sequence[Oid]) -> set[Oid]:
        objects = Objects(view.path)
        async with self._database.read() as session:
            roots = list(dict.fromkeys([*tips, *await retained_roots(session, state, tips)]))
        try:
            return await find_unreachable(self._runner, objects, wanted, roots=roots)
        except GitFailed:
            # A tip that was read after the view was made: its objects are not there, but what it replaced is.
            present = await asyncio.to_thread(_present, view, [*roots, *await self._replaced_since(state)])
            if set(present) >= set(roots):
                raise
            return await find_unreachable(self._runner, objects, wanted, roots=present)

    def _remember(self, state: StoreState, proved: Iterable[Oid]) -> None:
        now = time.monotonic()
        for oid in proved:
            self._proved[state.id, state.cache_epoch, oid] = now
            self._proved.move_to_end((state.id, state.cache_epoch, oid))
        while len(self._proved) > _REMEMBERED_MAX:
            self._proved.popitem(last=False)

    async def _replaced_since(self, state: StoreState) -> list[Oid]:
        """Return the values that refs had at the state and have no more."""
        async with self._database.read() as session:
            # Primary key of git_ref_log.
            found = await session.scalars(
                select(RefLog.old_oid).where(RefLog.store_id == state.id, RefLog.ref_version > state.ref_version)
            )
            return [Oid(oid) for oid in found if oid != ZERO_OID]


def _present(view: View, oids: Iterable[Oid]) -> list[Oid]:
    repository = open_repository(view.path)
    return [oid for oid in oids if oid in repository]
