"""Handlers by kind, and what their payloads are parsed into."""

import pytest
from tests.jobs.conftest import until, working

from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.jobs.context import JobContext
from cairn.jobs.models import JobState
from cairn.jobs.queue import enqueue
from cairn.jobs.registry import Registry

LONG_AGO = utc_now().replace(year=2020)


async def _enqueue(database: Database, kind: str = "work", **payload: object) -> int:
    async with database.write() as session:
        return await enqueue(session, kind, payload)


async def test_a_payload_the_handler_does_not_understand_is_dead_in_the_end_not_lost(
    database: Database, jobs: Registry, quick_retries: None
) -> None:
    @jobs.handler("work", attempts_max=2)
    async def work(context: JobContext, payload: dict[str, int]) -> None:
        raise AssertionError("never called")

    async with working(database, jobs):
        job_id = await _enqueue(database, number="seven")
        row = await until(database, job_id, JobState.DEAD)
    assert "Expected `int`, got `str`" in (row.last_error or "")


def test_a_kind_has_one_handler(jobs: Registry) -> None:
    @jobs.handler("work")
    async def work(context: JobContext, payload: dict[str, object]) -> None:
        """Only its kind matters."""

    with pytest.raises(AssertionError, match="two handlers for 'work'"):
        jobs.handler("work")(work)
