"""Sizes, totals and the queue are counted right on every database, for administrators only."""

import re
from typing import Any

import pytest
from sqlalchemy import event
from tests.factories.accounts import LONG_AGO, actor_of, make_account
from tests.factories.repositories import make_repository

from cairn.base.actor import SYSTEM
from cairn.base.errors import NotFound
from cairn.db.database import Database
from cairn.identity.models import AccountKind
from cairn.jobs.models import Job, JobState
from cairn.ops.admin_queries import discard_job, list_by_size, read_queue, read_totals, retry_job


async def test_repositories_without_packs_come_last_in_order(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made = [await make_repository(session, ada, f"r{number}") for number in range(3)]
    async with any_database.read() as session:
        first = await list_by_size(session, SYSTEM, limit=2)
        rest = await list_by_size(session, SYSTEM, after=(first[-1].size_bytes, first[-1].store_id))
        named = await list_by_size(session, SYSTEM, text="ADA/R1")
        by_owner = await list_by_size(session, SYSTEM, text="ada")
        nothing = await list_by_size(session, SYSTEM, text="%")
    assert [one.id for one in (*first, *rest)] == [one.id for one in reversed(made)]
    assert [one.name for one in named] == ["r1"]
    assert len(by_owner) == 3
    assert not any(one.is_deleted for one in by_owner)
    assert nothing == []


async def test_the_largest_are_found_in_an_index_and_not_sorted(database: Database) -> None:
    if database.dialect != "sqlite":
        pytest.skip("on few rows the others would rather scan")
    said: list[tuple[str, Any]] = []
    async with database.read() as session:
        connection = await session.connection()
        assert connection.sync_connection is not None
        event.listen(connection.sync_connection, "before_cursor_execute", lambda *call: said.append((call[2], call[3])))
        for after in (None, (10_000, 7)):
            await list_by_size(session, SYSTEM, after=after)
            statement, values = said[-1]
            steps = [row[-1] for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            assert "ix_git_store_pack_bytes_id" in steps[0], steps
            assert all(re.search("INDEX|PRIMARY KEY", step) and "TEMP" not in step for step in steps), steps


async def test_totals_tell_people_from_organizations(any_database: Database) -> None:
    async with any_database.write() as session:
        await make_account(session, "ada", is_site_admin=True)
        await make_account(session, "sue", suspended_at=LONG_AGO)
        (await make_account(session, "stones")).kind = AccountKind.ORGANIZATION
    async with any_database.read() as session:
        totals = await read_totals(session, SYSTEM)
    assert (totals.users, totals.suspended, totals.administrators, totals.organizations) == (2, 1, 1, 1)
    assert totals.packs == {}


async def test_only_dead_jobs_are_retried_or_discarded(any_database: Database) -> None:
    async with any_database.write() as session:
        jobs = [
            Job(kind="k", payload={}, state=state, due_at=LONG_AGO, created_at=LONG_AGO)
            for state in (JobState.DEAD, JobState.DEAD, JobState.WAITING)
        ]
        session.add_all(jobs)
        await session.flush()
        await retry_job(session, SYSTEM, jobs[0].id)
        await discard_job(session, SYSTEM, jobs[1].id)
        for verb in (retry_job, discard_job):
            with pytest.raises(NotFound):
                await verb(session, SYSTEM, jobs[2].id)
    async with any_database.read() as session:
        counts, dead = await read_queue(session, SYSTEM)
    assert (counts.waiting, counts.dead, list(dead)) == (2, 0, [])


async def test_nobody_else_may(database: Database) -> None:
    async with database.write() as session:
        ada = actor_of(await make_account(session, "ada"))
        for work in (
            list_by_size(session, ada),
            read_totals(session, ada),
            read_queue(session, ada),
            retry_job(session, ada, 1),
            discard_job(session, ada, 1),
        ):
            with pytest.raises(NotFound):
                await work
