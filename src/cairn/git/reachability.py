"""Which objects a reader may ask for by id: those that a root of the last 14 days reaches (RELIABILITY P-5).

Stock git hands out any object of its directory in protocol v2; here every want that is no present tip is proved first.
Positive answers are remembered: a root keeps what it reaches for 14 days, and a purge raises ``cache_epoch``.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from cairn.base.errors import NotFound
from cairn.db.database import Database
from cairn.git.history import Objects, find_unreachable
from cairn.git.node_cache import View
from cairn.git.ref_queries import retained_roots
from cairn.git.runner import GitRunner
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

_REMEMBERED_MAX = 200_000


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
        self._proved: OrderedDict[tuple[int, int, Oid], None] = OrderedDict()

    def unproved(self, state: StoreState, wanted: Iterable[Oid]) -> set[Oid]:
        """Return those that are not yet known to be reachable."""
        return {oid for oid in wanted if (state.id, state.cache_epoch, oid) not in self._proved}

    async def require(self, state: StoreState, view: View, wanted: Iterable[Oid], *, tips: Sequence[Oid]) -> None:
        """Return if every object is reachable from a root of the last 14 days; NotReachable names one that is not.

        ``tips`` are present refs, the likeliest first: their trees are searched before history is walked.
        """
        unproved = self.unproved(state, wanted)
        if not unproved:
            return
        async with self._database.read() as session:
            roots = [*tips, *await retained_roots(session, state.id)]
        missing = await find_unreachable(self._runner, Objects(view.path), unproved, roots=list(dict.fromkeys(roots)))
        if missing:
            raise NotReachable(min(missing))
        for oid in unproved:
            self._proved[state.id, state.cache_epoch, oid] = None
        while len(self._proved) > _REMEMBERED_MAX:
            self._proved.popitem(last=False)
