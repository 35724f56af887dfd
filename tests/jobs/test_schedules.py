"""Recurring jobs run on one node of many."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from tests.jobs.conftest import working
from tests.services.ports import eventually

from cairn.base.clock import utc_now
from cairn.db.database import Database, open_database
from cairn.jobs.context import JobContext
from cairn.jobs.models import Job, Schedule
from cairn.jobs.registry import Registry
from cairn.jobs.schedules import enqueue_due

EVERY = timedelta(hours=1)


async def test_many_nodes_enqueue_a_due_schedule_once(any_database: Database, jobs: Registry) -> None:
    @jobs.scheduled("sweep", every=EVERY)
    async def sweep(context: JobContext) -> None:
        """Only its row matters."""

    url = any_database.url.render_as_string(hide_password=False)
    nodes = [open_database(url, pool_size=2) for _ in range(4)]
    try:
        for due in (True, False, True):
            if due:
                async with any_database.write() as session:
                    await session.execute(update(Schedule).values(last_due_at=utc_now() - 5 * EVERY))
            found = await asyncio.gather(*(enqueue_due(node, jobs) for node in nodes))
            assert sorted(found) == [[], [], [], ["sweep"] if due else []]
            async with any_database.write() as session:
                count = await session.scalar(select(func.count()).select_from(Job))
                assert count == (1 if due else 0), "five missed turns are one job"
                await session.execute(Job.__table__.delete())  # type: ignore[attr-defined]  # it is a Table
    finally:
        for node in nodes:
            await node.close()


async def test_a_schedule_is_run_by_the_worker(
    database: Database, jobs: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.jobs.schedules.LOOK_SECONDS", 0.05)
    runs: list[int] = []

    @jobs.scheduled("tick", every=timedelta(seconds=0.1))
    async def tick(context: JobContext) -> None:
        runs.append(context.job_id)

    async def ran_three_times() -> bool:
        return len(set(runs)) >= 3

    async with working(database, jobs):
        await eventually(ran_three_times, within_seconds=15, what="three runs")
