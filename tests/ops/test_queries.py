"""The queue in numbers, as the metrics page shows it."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert
from tests.factories.accounts import make_account
from tests.factories.repositories import make_repository

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.models import Job, JobState
from cairn.ops.queries import JobCounts, count_jobs, repository_names

HOUR = timedelta(hours=1)


async def _add(database: Database, *jobs: tuple[JobState, timedelta]) -> None:
    """Add jobs by state and how long ago they were due."""
    async with database.write() as session:
        now: datetime = await database_now(session)
        rows = [
            {"kind": "k", "payload": {}, "state": state, "due_at": now - ago, "created_at": now - ago}
            for state, ago in jobs
        ]
        await session.execute(insert(Job), rows)


async def test_an_empty_queue_shows_every_state_as_zero(database: Database) -> None:
    """A state that is missing from the page would look to an alarm like a node that is away."""
    assert await count_jobs(database) == JobCounts({"waiting": 0, "running": 0, "dead": 0}, 0.0)


async def test_finished_jobs_are_not_counted(database: Database) -> None:
    await _add(
        database, (JobState.DONE, HOUR), (JobState.DEAD, HOUR), (JobState.RUNNING, HOUR), (JobState.RUNNING, HOUR)
    )
    assert (await count_jobs(database)).by_state == {"waiting": 0, "running": 2, "dead": 1}


async def test_the_age_is_that_of_the_oldest_waiting_job(database: Database) -> None:
    await _add(database, (JobState.WAITING, HOUR), (JobState.WAITING, 2 * HOUR))
    found = await count_jobs(database)
    assert found.by_state["waiting"] == 2
    assert found.oldest_due_seconds == pytest.approx(7200, abs=60)


async def test_dead_and_running_jobs_do_not_make_the_queue_look_late(database: Database) -> None:
    await _add(database, (JobState.DEAD, 9 * HOUR), (JobState.RUNNING, 9 * HOUR), (JobState.DONE, 9 * HOUR))
    assert (await count_jobs(database)).oldest_due_seconds == 0.0


async def test_jobs_that_are_due_later_have_not_waited(database: Database) -> None:
    await _add(database, (JobState.WAITING, -HOUR))
    found = await count_jobs(database)
    assert found.by_state["waiting"] == 1
    assert found.oldest_due_seconds == 0.0


async def test_only_repositories_that_still_are_have_a_name(database: Database) -> None:
    async with database.write() as session:
        ada = await make_account(session, "ada")
        kept, gone = [await make_repository(session, ada, name) for name in ("kept", "gone")]
        gone.is_deleted = True
    async with database.read() as session:
        assert await repository_names(session, [kept.id, gone.id, gone.id + 1]) == {kept.id: "ada/kept"}
        assert await repository_names(session, [kept.id], owner_id=ada.id + 1) == {}
