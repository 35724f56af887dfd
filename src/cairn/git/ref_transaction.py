"""The only writer of refs: compare, check name conflicts, write refs and their log, under the store's lock.

Everything here runs inside ``cairn.git.landing``'s transaction, which holds the lock of the store row. That lock is
what keeps two writers apart; the comparison of old values is what tells the loser.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict
from cairn.git.models import Ref, RefLog, Store
from cairn.git.ref_names import KEPT_OBJECTS
from cairn.git.ref_queries import ROOTS_KEPT, after_prefix
from cairn.git.types import ZERO_OID, Oid, RefName, show

STALE = "stale info: the ref moved meanwhile; fetch and push again"
"""The refusal of an update whose ref is not where it was seen: who can do so looks again and tries anew."""

_BATCH = 500
"""Names per IN list: far below every database's limit on parameters."""


class RefMoved(Conflict):
    """A ref is no longer where the caller saw it; look again and retry."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rule has against what a ref would get: which rule, by its place in its set, and why."""

    rule: int
    message: str


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Move one ref from ``old`` to ``new``; ZERO_OID means "does not exist". ``peeled`` is for annotated tags.

    ``keeps_old``: the new value was seen to reach the old one. False only costs the old value a place among the roots.
    ``findings`` is what the objects were examined for while they were staged: by the key of each set of rules what it
    found, often nothing. The engine carries it to whoever decides; a key that is missing was not examined.
    """

    name: RefName
    old: Oid
    new: Oid
    peeled: Oid | None = None
    keeps_old: bool = False
    findings: Mapping[str, Sequence[Finding]] = field(default_factory=dict, compare=False)

    @property
    def is_creation(self) -> bool:
        """True if the ref must not exist before."""
        return self.old == ZERO_OID

    @property
    def is_deletion(self) -> bool:
        """True if the ref is gone afterwards."""
        return self.new == ZERO_OID

    @property
    def is_rewind(self) -> bool:
        """True if objects may be reachable from the old value alone."""
        return not self.is_creation and not self.keeps_old

    @property
    def is_passing(self) -> bool:
        """True if the ref is gone again in the same stroke, and what it pointed to a root of 14 days."""
        return self.name == KEPT_OBJECTS

    def lines(self) -> "Iterator[RefUpdate]":
        """Yield what the log says of this update."""
        yield self
        if self.is_passing:
            yield RefUpdate(self.name, self.new, ZERO_OID)


@dataclass(frozen=True, slots=True)
class VerifyRef:
    """Require a ref of any store to point to ``oid`` when the plan lands, without changing it."""

    store_id: int
    name: RefName
    oid: Oid


@dataclass(frozen=True, slots=True)
class RefOutcome:
    """What became of one update: moved if ``refusal`` is empty."""

    name: RefName
    old: Oid
    new: Oid
    refusal: str = ""

    @property
    def moved(self) -> bool:
        """True if the ref is now at ``new``."""
        return not self.refusal


async def find_refusals(session: AsyncSession, store_id: int, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
    """Return why each update cannot be made as the refs stand now; an absent name can."""
    current = await _current(session, store_id, [update.name for update in updates])
    refusals: dict[RefName, str] = {}
    for change in updates:
        found = current.get(change.name, ZERO_OID)
        if found != change.old:
            refusals[change.name] = STALE
    possible = [change for change in updates if change.name not in refusals]
    return refusals | await _name_conflicts(session, store_id, possible)


async def verify(session: AsyncSession, wanted: Iterable[VerifyRef]) -> None:
    """Return if every ref is where the plan saw it; RefMoved names the first that is not."""
    for item in wanted:
        found = await _current(session, item.store_id, [item.name])
        if found.get(item.name, ZERO_OID) != item.oid:
            raise RefMoved(f"{show(item.name)} moved while this was prepared; look at it again and retry")


async def write_refs(
    session: AsyncSession, store: Store, updates: Sequence[RefUpdate], *, push_id: str, actor: str, at: datetime
) -> None:
    """Make the updates true, log them and raise the store's versions. The caller has the lock and found no refusal."""
    store.ref_version += 1
    lines = [line for change in updates for line in change.lines()]
    updates = [change for change in updates if not change.is_passing]
    if store.collect_after is None and any(line.is_rewind for line in lines):
        store.collect_after = at + ROOTS_KEPT
    if any(change.name.startswith(b"refs/tags/") for change in updates):
        store.tags_version += 1
    gone = [change.name for change in updates if change.is_deletion]
    for names in _batches(gone):
        await session.execute(delete(Ref).where(Ref.store_id == store.id, Ref.name.in_(names)))
    created = [change for change in updates if change.is_creation and not change.is_deletion]
    if created:
        await session.execute(
            insert(Ref),
            [{"store_id": store.id, "name": c.name, "oid": c.new, "peeled": c.peeled} for c in created],
        )
    moved = [change for change in updates if not change.is_creation and not change.is_deletion]
    if moved:
        table = Ref.__table__
        statement = (
            update(table)  # type: ignore[arg-type]  # a mapped class's table is a Table, typed as FromClause
            .where(table.c.store_id == store.id, table.c.name == bindparam("at_name"))
            .values(oid=bindparam("to_oid"), peeled=bindparam("to_peeled"))
        )
        connection = await session.connection()
        await connection.execute(
            statement, [{"at_name": c.name, "to_oid": c.new, "to_peeled": c.peeled} for c in moved]
        )
    await session.execute(
        insert(RefLog),
        [
            {
                "store_id": store.id,
                "ref_version": store.ref_version,
                "position": position,
                "name": line.name,
                "old_oid": line.old,
                "new_oid": line.new,
                "push_id": push_id,
                "actor": actor[:255],
                "is_rewind": line.is_rewind,
                "at": at,
            }
            for position, line in enumerate(lines)
        ],
    )


async def drop_refs(session: AsyncSession, store: Store) -> None:
    """Delete every ref of a store that goes away, unlogged. The caller has the lock."""
    await session.execute(delete(Ref).where(Ref.store_id == store.id))
    store.ref_version += 1
    store.tags_version += 1


async def _current(session: AsyncSession, store_id: int, names: Sequence[RefName]) -> dict[RefName, str]:
    found: dict[RefName, str] = {}
    for batch in _batches(sorted(names)):
        # The range is for planners without statistics, who would compare each row of the table with each name.
        between = Ref.name.between(batch[0], batch[-1])
        rows = await session.execute(
            select(Ref.name, Ref.oid).where(Ref.store_id == store_id, between, Ref.name.in_(batch))
        )
        found |= {bytes(name): oid for name, oid in rows}
    return found


async def _name_conflicts(session: AsyncSession, store_id: int, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
    """Refuse ``a`` beside ``a/b``, among the refs that stay and among the new ones themselves."""
    created = [change.name for change in updates if change.is_creation and not change.is_deletion]
    if not created:
        return {}
    leaving = {change.name for change in updates if change.is_deletion}
    standing = await _near(session, store_id, created) - leaving
    refusals: dict[RefName, str] = {}
    taken = set(standing)
    folders = {folder for name in standing for folder in folders_of(name)}
    for name in created:
        above = next((folder for folder in folders_of(name) if folder in taken), None)
        if above is not None:
            refusals[name] = f"name conflict: {show(above)} exists, so nothing can be created below it"
        elif name in folders:
            refusals[name] = f"name conflict: refs below {show(name)}/ exist"
        else:
            taken.add(name)
            folders.update(folders_of(name))
    return refusals


async def _near(session: AsyncSession, store_id: int, created: Sequence[RefName]) -> set[RefName]:
    """Return the existing refs that could stand above or below the new names."""
    if len(created) > _BATCH:
        rows = await session.execute(select(Ref.name).where(Ref.store_id == store_id))
        return {bytes(name) for name in rows.scalars()}
    above = await _current(session, store_id, sorted({folder for name in created for folder in folders_of(name)}))
    found = set(above)
    for name in created:
        # Primary key (store_id, name): one step into the index.
        below = await session.execute(
            select(Ref.name)
            .where(Ref.store_id == store_id, Ref.name > name + b"/", Ref.name < after_prefix(name + b"/"))
            .limit(1)
        )
        found.update(bytes(row) for row in below.scalars())
    return found


def _batches(names: Sequence[RefName]) -> Iterator[Sequence[RefName]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


def folders_of(name: RefName) -> list[bytes]:
    """Return the names that ``name`` would turn into folders: ``refs/heads/a/b`` gives ``refs/heads/a`` and above."""
    parts = name.split(b"/")
    return [b"/".join(parts[:count]) for count in range(2, len(parts))]
