"""The worker seals the log as time goes by and keeps the operator's retention."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.audit.log_support import age, findings, seal, write

from cairn.audit.jobs import expire_audit_log, seal_audit_log
from cairn.audit.models import AuditEntry, AuditSeal
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.jobs.context import JobContext, LeaseLost
from cairn.jobs.lease import claim
from cairn.jobs.models import Job
from cairn.jobs.registry import SCHEDULE_KIND, registry
from cairn.jobs.schedules import enqueue_due


async def _run(database: Database, name: str, settings: Settings) -> Callable[[], Awaitable[None]]:
    """Do one recurring job as a worker does; return what would do it again under the same lease."""
    await enqueue_due(database, registry)
    async with database.write() as session:
        claims = {one.handler.kind: one for one in await claim(session, registry, holder="tester", limit=50)}
    held = claims[SCHEDULE_KIND + name]
    context = JobContext(database, held.job_id, held.fencing, held.attempt, {Settings: settings})

    async def do() -> None:
        await held.handler(context, held.payload)

    await do()
    return do


async def _count(database: Database, table: type[AuditEntry] | type[AuditSeal]) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_the_worker_seals_what_is_old_enough(database: Database) -> None:
    await write(database, 2)
    await age(database, days=0)
    await write(database, 1)
    again = await _run(database, "audit.seal", Settings())
    assert await _count(database, AuditSeal) == 1
    assert await findings(database) == []
    async with database.write() as session:
        for job in await session.scalars(select(Job)):
            job.fencing += 1
    with pytest.raises(LeaseLost):
        await again()


@pytest.mark.parametrize(("days", "left"), [(0, 2), (365, 1)])
async def test_the_operator_says_how_long_entries_stay(database: Database, days: int, left: int) -> None:
    await write(database, 2)
    await age(database, days=0)
    await seal(database)
    await _run(database, "audit.expire", Settings(audit_retention_days=days))
    assert await _count(database, AuditEntry) == left  # one says that the two are gone
    assert await findings(database) == []


def test_they_recur() -> None:
    assert registry.schedules["audit.seal"] <= timedelta(minutes=5)
    assert registry.schedules["audit.expire"] == timedelta(days=1)
    assert seal_audit_log.__doc__
    assert expire_audit_log.__doc__
