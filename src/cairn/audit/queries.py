"""Reading the audit log: filtered, newest first, from where the last page ended."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.models import AuditEntry
from cairn.audit.sealing import last_seal, sealed_through
from cairn.db.database import Database

EXPORTED_AT_ONCE = 500
"""Entries read, and so held in memory, at a time while a log is exported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are wanted; empty means all. ``organization_id`` is the log, None the whole installation's.

    ``action`` is a whole name or, ending in a dot, the beginning of one; ``text`` is found in targets, facts and
    changes, whatever its case.
    """

    organization_id: int | None = None
    actor: str = ""
    action: str = ""
    repository_id: int | None = None
    address: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SealState:
    """How far a log is sealed: entries up to ``through`` are; ``sha256`` is the newest link's hash, empty without."""

    through: int
    number: int
    sha256: str


async def list_entries(
    session: AsyncSession, wanted: AuditFilter, *, limit: int, before_id: int | None = None, after_id: int | None = None
) -> Sequence[AuditEntry]:
    """Return entries, newest first: the newest ones, those before ``before_id`` or those next after ``after_id``.

    For callers that have authorized: it asks nobody.
    """
    query = select(AuditEntry).where(*_conditions(wanted)).limit(limit)
    if after_id is not None:
        rows = await session.scalars(query.where(AuditEntry.id > after_id).order_by(AuditEntry.id))
        return list(rows)[::-1]
    if before_id is not None:
        query = query.where(AuditEntry.id < before_id)
    return (await session.scalars(query.order_by(AuditEntry.id.desc()))).all()


async def iterate_entries(database: Database, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
    """Yield every entry there was at the start, newest first, a few hundred in memory at a time.

    Each batch is read in a transaction of its own, so a slow reader holds none open.
    """
    before_id: int | None = None
    while True:
        async with database.read() as session:
            rows = await list_entries(session, wanted, limit=EXPORTED_AT_ONCE, before_id=before_id)
        for row in rows:
            yield row
        if len(rows) < EXPORTED_AT_ONCE:
            return
        before_id = rows[-1].id


async def seal_state(session: AsyncSession, log_id: int) -> SealState:
    """Return how far a log is sealed."""
    newest = await last_seal(session, log_id)
    through = await sealed_through(session)
    return SealState(through, 0, "") if newest is None else SealState(through, newest.number, newest.sha256)


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """Indexes: (organization_id, id), (actor_id, at), (repository_id, at), (at); text is compared row by row."""
    found: list[ColumnElement[bool]] = []
    if wanted.organization_id is not None:
        found.append(AuditEntry.organization_id == wanted.organization_id)
    if wanted.actor:
        found.append(func.lower(AuditEntry.actor) == wanted.actor.lower())
    if wanted.action.endswith("."):
        found.append(AuditEntry.action.startswith(wanted.action, autoescape=True))
    elif wanted.action:
        found.append(AuditEntry.action == wanted.action)
    if wanted.repository_id is not None:
        found.append(AuditEntry.repository_id == wanted.repository_id)
    if wanted.address:
        found.append(AuditEntry.address == wanted.address)
    if wanted.since is not None:
        found.append(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        found.append(AuditEntry.at < wanted.until)
    if wanted.text:
        text = wanted.text.lower()
        # JSON columns hold every other letter as \\uXXXX.
        escaped = json.dumps(wanted.text)[1:-1].lower()
        places = ((AuditEntry.target, text), (AuditEntry.details, escaped), (AuditEntry.changes, escaped))
        found.append(
            or_(*(func.lower(cast(place, String)).contains(sought, autoescape=True) for place, sought in places))
        )
    return found
