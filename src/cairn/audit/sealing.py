"""Sealing: every few minutes the entries that can no longer change places become the next links of their logs' chains.

Ids are given before commits, so a lower id may become visible after a higher one. Only what is older than a window that
no transaction outlives is sealed. Should an entry come later than that, nothing seals it: it stays visible as unsealed.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.chain import FIRST_PREVIOUS, entries_hash, entry_hash, make_leaves, seal_hash
from cairn.audit.models import AuditEntry, AuditSeal, SealKind
from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database

SAFE_WINDOW = timedelta(minutes=10)
"""Longer than any transaction lives: statements and idle transactions end within 30 seconds."""
SEALED_AT_ONCE = 1000
"""Entries of one transaction, and so of one link at most: its leaves are 16 KB."""

INSTALLATION_LOG = 0
Within = Callable[[AsyncSession], Awaitable[None]]
"""Called first in each transaction; raises if another worker has taken the work over."""

_log = get_logger(__name__)


async def seal_entries(database: Database, *, within: Within, window: timedelta = SAFE_WINDOW) -> int:
    """Seal every entry older than ``window`` and return how many were sealed, in transactions of 1,000."""
    sealed = 0
    while True:
        async with database.write() as session:
            await within(session)
            seals = await _seal_next(session, window)
        for seal in seals:
            # The log is kept elsewhere than the table: with it, even a chain forged from its start is found.
            _log.info("audit_sealed", log_id=seal.log_id, number=seal.number, last_id=seal.last_id, sha256=seal.sha256)
        count = sum(seal.entries for seal in seals)
        sealed += count
        if count < SEALED_AT_ONCE:
            return sealed


async def sealed_through(session: AsyncSession) -> int:
    """Return the id up to which entries are sealed; 0 before the first seal. Index: ``ix_audit_seal_last_id``."""
    return await session.scalar(select(func.max(AuditSeal.last_id))) or 0


def in_log(log_id: int) -> ColumnElement[bool]:
    """Return the condition for the entries of one log."""
    if log_id == INSTALLATION_LOG:
        return AuditEntry.organization_id.is_(None)
    return AuditEntry.organization_id == log_id


async def last_seal(session: AsyncSession, log_id: int) -> AuditSeal | None:
    """Return the newest link of a log's chain."""
    newest = select(AuditSeal).where(AuditSeal.log_id == log_id).order_by(AuditSeal.number.desc()).limit(1)
    return (await session.scalars(newest)).one_or_none()


async def append_seal(session: AsyncSession, seal: AuditSeal) -> AuditSeal:
    """Add a link to its log's chain: number, time and hashes are filled in here.

    The primary key keeps two writers apart: the second fails, and with it its transaction.
    """
    before = await last_seal(session, seal.log_id)
    seal.number = 1 if before is None else before.number + 1
    seal.previous_sha256 = FIRST_PREVIOUS if before is None else before.sha256
    seal.sealed_at = await database_now(session)
    seal.sha256 = seal_hash(seal)
    session.add(seal)
    await session.flush()
    return seal


async def _seal_next(session: AsyncSession, window: timedelta) -> list[AuditSeal]:
    """Seal the next entries of all logs, in the order of their ids."""
    through = await sealed_through(session)
    horizon = await database_now(session, plus=-window)
    # Ids and times may be crossed by a hair: nothing from the first young entry on is sealed. ix_audit_entry_at
    young = await session.scalar(select(func.min(AuditEntry.id)).where(AuditEntry.at >= horizon))
    waiting = select(AuditEntry).where(AuditEntry.id > through)
    if young is not None:
        waiting = waiting.where(AuditEntry.id < young)
    rows = (await session.scalars(waiting.order_by(AuditEntry.id).limit(SEALED_AT_ONCE))).all()
    logs: dict[int, list[AuditEntry]] = {}
    for row in rows:
        logs.setdefault(row.organization_id or INSTALLATION_LOG, []).append(row)
    return [await append_seal(session, _range_of(log_id, entries)) for log_id, entries in sorted(logs.items())]


def _range_of(log_id: int, entries: Sequence[AuditEntry]) -> AuditSeal:
    hashes = [(entry.id, entry_hash(entry)) for entry in entries]
    return AuditSeal(
        log_id=log_id,
        kind=SealKind.ENTRIES,
        first_id=entries[0].id,
        last_id=entries[-1].id,
        entries=len(entries),
        newest_at=max(entry.at for entry in entries),
        leaves=make_leaves(hashes),
        entries_sha256=entries_hash(hashes),
    )
