"""Checking the chain: every link follows from the one before, every sealed entry is there, unchanged, and no other.

It finds what somebody with the database's password changed, removed or put in. What it cannot see is the end of a chain
cut off together with its entries: compare the newest hash with the one in the programs' logs (``audit_sealed``).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import select, union

from cairn.audit.chain import FIRST_PREVIOUS, entries_hash, entry_hash, matches_leaf, read_leaves, seal_hash
from cairn.audit.models import AuditEntry, AuditSeal, SealKind
from cairn.audit.retention import given_up_through
from cairn.audit.sealing import INSTALLATION_LOG, in_log, last_seal, sealed_through
from cairn.db.database import Database

NAMED_MAX = 20
"""Entries that one link's findings name; of more the number is told."""
_SEALS_AT_ONCE = 100
_ENTRIES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that is not as it was sealed: in which log, and one sentence."""

    log_id: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of a log: keep its hash elsewhere to know later that nothing before it has changed."""

    log_id: int
    number: int
    sha256: str


async def verify_logs(database: Database) -> AsyncIterator[Broken]:
    """Yield everything that is not as it was sealed, log by log; memory stays small however long the logs are."""
    async with database.read() as session:
        ends = await sealed_through(session)
        logs = await session.scalars(
            union(select(AuditSeal.log_id), select(AuditEntry.organization_id).where(AuditEntry.id <= ends))
        )
        known = sorted({log_id or INSTALLATION_LOG for log_id in logs})
    for log_id in known:
        async for broken in _Check(database, log_id, ends).run():
            yield broken


async def read_heads(database: Database) -> list[Head]:
    """Return the newest link of every log."""
    async with database.read() as session:
        logs = (await session.scalars(select(AuditSeal.log_id).distinct().order_by(AuditSeal.log_id))).all()
        found = [await last_seal(session, log_id) for log_id in logs]
    return [Head(seal.log_id, seal.number, seal.sha256) for seal in found if seal is not None]


class _Check:
    """One walk over one log."""

    def __init__(self, database: Database, log_id: int, ends: int) -> None:
        self._database = database
        self._log_id = log_id
        self._ends = ends
        self._through = 0
        self._given_up = 0

    async def run(self) -> AsyncIterator[Broken]:
        async with self._database.read() as session:
            self._given_up = await given_up_through(session, self._log_id)
        number, previous = 0, FIRST_PREVIOUS
        async for seal in self._seals():
            if seal.number != number + 1:
                yield self._broken(f"seals {number + 1} to {seal.number - 1} are missing.")
            elif seal.previous_sha256 != previous:
                yield self._broken(f"seal {seal.number} does not follow from the seal before it.")
            if seal_hash(seal) != seal.sha256:
                yield self._broken(f"seal {seal.number} itself was changed.")
            number, previous = seal.number, seal.sha256
            if seal.kind is SealKind.ENTRIES:
                async for broken in self._range(seal):
                    yield broken
        async for broken in self._unsealed(self._through, self._ends):
            yield broken

    async def _range(self, seal: AuditSeal) -> AsyncIterator[Broken]:
        """Compare the entries up to this seal's last with what it remembers of them."""
        start, self._through = self._through, max(self._through, seal.last_id)
        if seal.last_id <= self._given_up:
            async for broken in self._unsealed(start, seal.last_id):
                yield broken
            return
        leaves = dict(read_leaves(seal.leaves))
        hashes: list[tuple[int, bytes]] = []
        changed, strange = _Named(), _Named()
        async for entry in self._entries(start, seal.last_id):
            leaf = leaves.pop(entry.id, None)
            if leaf is None:
                strange.add(entry.id)
                continue
            hashed = entry_hash(entry)
            hashes.append((entry.id, hashed))
            if not matches_leaf(hashed, leaf):
                changed.add(entry.id)
        removed = _Named()
        for entry_id in leaves:
            removed.add(entry_id)
        if changed:
            yield self._broken(f"{changed} changed after seal {seal.number} was set on it.")
        if removed:
            yield self._broken(f"{removed} removed after seal {seal.number} was set on it.")
        if strange:
            yield self._broken(f"{strange} put into the range of seal {seal.number} later; no seal covers it.")
        if not changed and not removed and entries_hash(hashes) != seal.entries_sha256:
            yield self._broken(f"the entries of seal {seal.number} are not those it was set on.")

    async def _unsealed(self, after: int, last: int) -> AsyncIterator[Broken]:
        strange = _Named()
        async for entry in self._entries(after, last):
            strange.add(entry.id)
        if strange:
            yield self._broken(f"{strange} put among entries that were sealed or given up before; no seal covers it.")

    async def _seals(self) -> AsyncIterator[AuditSeal]:
        number = 0
        while True:
            async with self._database.read() as session:
                rows = (
                    await session.scalars(
                        select(AuditSeal)
                        .where(AuditSeal.log_id == self._log_id, AuditSeal.number > number)
                        .order_by(AuditSeal.number)
                        .limit(_SEALS_AT_ONCE)
                    )
                ).all()
            for row in rows:
                yield row
            if len(rows) < _SEALS_AT_ONCE:
                return
            number = rows[-1].number

    async def _entries(self, after: int, last: int) -> AsyncIterator[AuditEntry]:
        """Yield the log's entries with ids above ``after`` up to ``last``. ix_audit_entry_organization_id_id."""
        while after < last:
            async with self._database.read() as session:
                rows = (
                    await session.scalars(
                        select(AuditEntry)
                        .where(in_log(self._log_id), AuditEntry.id > after, AuditEntry.id <= last)
                        .order_by(AuditEntry.id)
                        .limit(_ENTRIES_AT_ONCE)
                    )
                ).all()
            for row in rows:
                yield row
            if len(rows) < _ENTRIES_AT_ONCE:
                return
            after = rows[-1].id

    def _broken(self, sentence: str) -> Broken:
        return Broken(self._log_id, sentence)


class _Named:
    """Entries to be named in a sentence, the first few by their ids."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._count = 0

    def add(self, entry_id: int) -> None:
        self._count += 1
        if len(self._first) < NAMED_MAX:
            self._first.append(entry_id)

    def __bool__(self) -> bool:
        return self._count > 0

    def __str__(self) -> str:
        names = ", ".join(map(str, self._first))
        more = f" and {self._count - NAMED_MAX:,} more" if self._count > NAMED_MAX else ""
        return f"entry {names} was" if self._count == 1 else f"entries {names}{more} were"
