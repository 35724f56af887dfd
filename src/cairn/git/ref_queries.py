"""Reading refs: snapshots keyed on the store's ref version, prefixes, single names, and the roots of 14 days."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database, PointQuery, Row
from cairn.git.models import PurgedRoot, RefLog
from cairn.git.store_state import STATE_COLUMNS, StoreGone, StoreState, from_row
from cairn.git.types import ZERO_OID, Oid, RefName

RETENTION = timedelta(days=14)
"""What was reachable from any ref value of this long is kept, served and may be relied on (RELIABILITY P-4)."""

PLAN_LIFETIME = timedelta(hours=1)
"""RELIABILITY 1.3 B: a plan older than this may rely on objects that collection is about to drop."""

ROOTS_KEPT = RETENTION + 2 * PLAN_LIFETIME
"""RELIABILITY 1.3 C: what collection keeps. So what a plan relied on is still there when it lands."""

_SNAPSHOT_REFS_MAX = 500_000
"""Refs one process keeps in snapshots, all stores together (about 300 bytes each)."""

# All three use the primary key of git_ref, (store_id, name). Versions and refs of one moment: one statement.
_ALL = PointQuery(
    f"SELECT {', '.join(f's.{column}' for column in STATE_COLUMNS)}, r.name, r.oid, r.peeled "  # noqa: S608 (constants)
    "FROM git_store s LEFT JOIN git_ref r ON r.store_id = s.id WHERE s.id = :store ORDER BY r.name"
)
_PREFIX = PointQuery(
    "SELECT name, oid, peeled FROM git_ref WHERE store_id = :store AND name >= :low AND name < :high ORDER BY name"
)
_ONE = PointQuery("SELECT name, oid, peeled FROM git_ref WHERE store_id = :store AND name = :name")


@dataclass(frozen=True, slots=True)
class RefValue:
    """A ref and where it points; ``peeled`` is what an annotated tag finally means."""

    name: RefName
    oid: Oid
    peeled: Oid | None = None


@dataclass(frozen=True, slots=True)
class RefSnapshot:
    """All refs of a store at one moment, ordered by name; ``state`` is the store at that moment."""

    state: StoreState
    refs: tuple[RefValue, ...]
    tips: frozenset[Oid] = field(compare=False)

    def fresher(self, state: StoreState) -> StoreState:
        """Return the later of ``state`` and the snapshot's own: a view of it holds every object these refs name."""
        own = self.state
        is_later = (own.ref_version, own.manifest_version) > (state.ref_version, state.manifest_version)
        return own if is_later else state

    def find(self, name: RefName) -> RefValue | None:
        """Return the ref of that name, or None."""
        low, high = 0, len(self.refs)
        while low < high:
            middle = (low + high) // 2
            if self.refs[middle].name < name:
                low = middle + 1
            else:
                high = middle
        return self.refs[low] if low < len(self.refs) and self.refs[low].name == name else None


class RefReader:
    """Reads refs through a bounded memory of snapshots: a ref version never changes what it means."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshots: OrderedDict[tuple[int, int], RefSnapshot] = OrderedDict()
        self._held = 0

    async def snapshot(self, state: StoreState) -> RefSnapshot:
        """Return all refs, at the state's version or a later one (see ``RefSnapshot.fresher``); StoreGone if none."""
        key = (state.id, state.ref_version)
        found = self._snapshots.get(key)
        if found is not None:
            self._snapshots.move_to_end(key)
            return found
        rows = await self._database.fetch_all(_ALL, store=state.id)
        if not rows:
            raise StoreGone("Not Found")
        refs = _values(row for row in rows if row["name"] is not None)
        tips = frozenset(ref.oid for ref in refs) | {ref.peeled for ref in refs if ref.peeled}
        found = RefSnapshot(from_row(rows[0], store_id=state.id), refs, tips)
        self._remember(found)
        return found

    async def with_prefixes(self, state: StoreState, prefixes: Sequence[bytes]) -> tuple[RefValue, ...]:
        """Return the refs whose name starts with any of ``prefixes`` (none given: all), ordered by name."""
        snapshot = self._snapshots.get((state.id, state.ref_version))
        if snapshot is None and prefixes and len(prefixes) <= 20 and not _is_broad(prefixes):
            found: dict[RefName, RefValue] = {}
            for prefix in _widest(prefixes):
                rows = await self._database.fetch_all(_PREFIX, store=state.id, low=prefix, high=after_prefix(prefix))
                found |= {ref.name: ref for ref in _values(rows)}
            return tuple(found[name] for name in sorted(found))
        refs = (snapshot or await self.snapshot(state)).refs
        if not prefixes:
            return refs
        starts = tuple(prefixes)
        return tuple(ref for ref in refs if ref.name.startswith(starts))

    async def find(self, store_id: int, name: RefName) -> RefValue | None:
        """Return one ref as it is now, or None."""
        row = await self._database.fetch(_ONE, store=store_id, name=name)
        return None if row is None else _values([row])[0]

    def _remember(self, snapshot: RefSnapshot) -> None:
        key = (snapshot.state.id, snapshot.state.ref_version)
        # Two requests may have read the same version at the same time.
        if key not in self._snapshots:
            self._held += len(snapshot.refs) + 1
        self._snapshots[key] = snapshot
        while self._held > _SNAPSHOT_REFS_MAX and len(self._snapshots) > 1:
            _, dropped = self._snapshots.popitem(last=False)
            self._held -= len(dropped.refs) + 1


async def retained_roots(
    session: AsyncSession, state: StoreState, tips: Iterable[Oid], *, kept: timedelta = RETENTION
) -> list[Oid]:
    """Return ``tips`` (the refs of ``state``) and what reaches every other ref value of the last 14 days.

    These are the roots of RELIABILITY 1.3 A. Values that came after ``state`` are left out: their objects need not be
    in its view. So are values that reached what was purged.
    """
    since = await database_now(session, plus=-kept)
    # ix_git_ref_log_store_id_is_rewind_at. A value is reachable from the one after it, and so on to a present tip,
    # unless a rewind comes first: then from that one's old value. So 100,000 plain pushes add no root.
    rewound = (
        select(RefLog.old_oid)
        .where(RefLog.store_id == state.id, RefLog.is_rewind.is_(True), RefLog.at >= since)
        .where(RefLog.ref_version <= state.ref_version)
    )
    purged = select(PurgedRoot.oid).where(PurgedRoot.store_id == state.id)
    past = await session.scalars(rewound.where(RefLog.old_oid.not_in(purged)).distinct())
    return [Oid(oid) for oid in sorted({*tips, *past} - {ZERO_OID})]


def after_prefix(prefix: bytes) -> bytes:
    """Return the first byte string after all that start with ``prefix`` (which does not end in 0xff)."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else b"\xff" * 32


def _is_broad(prefixes: Iterable[bytes]) -> bool:
    return any(len(prefix) < len(b"refs/heads/") or prefix in {b"refs/heads/", b"refs/tags/"} for prefix in prefixes)


def _widest(prefixes: Iterable[bytes]) -> list[bytes]:
    """Return the prefixes without those that another one covers."""
    kept: list[bytes] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


def _values(rows: Iterable[Row]) -> tuple[RefValue, ...]:
    return tuple(
        RefValue(bytes(row["name"]), Oid(row["oid"]), Oid(row["peeled"]) if row["peeled"] else None) for row in rows
    )
