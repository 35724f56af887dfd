"""Retention: entries older than the setting go, range by range; their seals stay, so that the chain still holds.

What is given up is said first, as a link of the chain itself, and recorded as an entry. The tables' triggers let a row
go only after such a link.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.chain import entries_hash, read_leaves
from cairn.audit.models import AuditEntry, AuditSeal, SealKind
from cairn.audit.record import record
from cairn.audit.sealing import INSTALLATION_LOG, Within, append_seal, in_log
from cairn.base.actor import SYSTEM
from cairn.db.changes import count_changed
from cairn.db.clock import database_now
from cairn.db.database import Database

RANGES_AT_ONCE = 5
"""Ranges given up in one transaction: 5,000 entries at most."""
_DELETED_AT_ONCE = 500


async def expire_entries(database: Database, *, keep: timedelta, within: Within) -> int:
    """Delete the sealed entries of every range whose newest is older than ``keep``; return how many went."""
    async with database.read() as session:
        logs = (await session.scalars(select(AuditSeal.log_id).distinct())).all()
    deleted = 0
    for log_id in logs:
        while True:
            async with database.write() as session:
                await within(session)
                gone = await _expire_next(session, log_id, keep)
            if gone is None:
                break
            deleted += gone
    return deleted


async def given_up_through(session: AsyncSession, log_id: int) -> int:
    """Return the id up to which a log's entries were given up; 0 if none were."""
    found = await session.scalar(
        select(func.max(AuditSeal.last_id)).where(AuditSeal.log_id == log_id, AuditSeal.kind == SealKind.RETENTION)
    )
    return found or 0


async def _expire_next(session: AsyncSession, log_id: int, keep: timedelta) -> int | None:
    """Give up the oldest ranges of a log and return how many entries went; None if no range is old enough."""
    cutoff = await database_now(session, plus=-keep)
    oldest = await session.scalars(
        select(AuditSeal)
        .where(
            AuditSeal.log_id == log_id,
            AuditSeal.kind == SealKind.ENTRIES,
            AuditSeal.last_id > await given_up_through(session, log_id),
        )
        .order_by(AuditSeal.number)
        .limit(RANGES_AT_ONCE)
    )
    old: list[AuditSeal] = []
    for seal in oldest:
        if seal.newest_at >= cutoff:
            break
        old.append(seal)
    if not old:
        return None
    await append_seal(session, _giving_up(log_id, old))
    gone = await _delete(session, log_id, [entry_id for seal in old for entry_id, _ in read_leaves(seal.leaves)])
    record(
        session,
        SYSTEM,
        "audit.expire",
        f"entries {old[0].first_id} to {old[-1].last_id}",
        organization_id=None if log_id == INSTALLATION_LOG else log_id,
        details={"entries": str(gone), "kept_days": str(keep.days)},
    )
    return gone


def _giving_up(log_id: int, old: Sequence[AuditSeal]) -> AuditSeal:
    return AuditSeal(
        log_id=log_id,
        kind=SealKind.RETENTION,
        first_id=old[0].first_id,
        last_id=old[-1].last_id,
        entries=sum(seal.entries for seal in old),
        newest_at=max(seal.newest_at for seal in old),
        leaves=b"",
        entries_sha256=entries_hash([]),
    )


async def _delete(session: AsyncSession, log_id: int, ids: Sequence[int]) -> int:
    """Delete exactly the sealed entries: what was never sealed stays, to be found."""
    gone = 0
    for start in range(0, len(ids), _DELETED_AT_ONCE):
        chosen = ids[start : start + _DELETED_AT_ONCE]
        gone += await count_changed(session, delete(AuditEntry).where(AuditEntry.id.in_(chosen), in_log(log_id)))
    return gone
