"""The session edge, point queries and what a failing database looks like, on all three databases."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.clock import utc_now
from cairn.db.database import (
    Database,
    open_database,
)
from cairn.jobs.models import Schedule

OID = "a" * 40


def _schedule(name: str) -> Schedule:
    return Schedule(name=name, last_due_at=utc_now())


async def _names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(Schedule.name).order_by(Schedule.name)))


async def test_the_database_itself_refuses_to_write_in_a_read_transaction(any_database: Database) -> None:
    async with any_database.read() as session:
        with pytest.raises(DBAPIError):
            await session.execute(insert(Schedule).values(name="x", last_due_at=utc_now()))
    assert await _names(any_database) == []
    async with any_database.write() as session:
        session.add(_schedule("y"))
    assert await _names(any_database) == ["y"], "a connection that was read-only may write again"


async def test_a_write_commits_at_its_edge_and_an_error_rolls_it_back(any_database: Database) -> None:
    async with any_database.write() as session:
        session.add(_schedule("kept"))

    async def failing(session: AsyncSession) -> None:
        session.add(_schedule("dropped"))
        await session.flush()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await any_database.write_retrying(failing)
    assert await _names(any_database) == ["kept"]


async def test_a_broken_constraint_is_an_integrity_error_not_a_lost_database(any_database: Database) -> None:
    async with any_database.write() as session:
        session.add(_schedule("x"))
    with pytest.raises(IntegrityError):
        async with any_database.write() as session:
            session.add(_schedule("x"))


async def test_two_writers_that_deadlock_both_succeed_by_retrying(any_database: Database) -> None:
    if any_database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: no deadlock")
    async with any_database.write() as session:
        session.add_all([_schedule("a"), _schedule("b")])
    attempts = 0
    both_hold_one = asyncio.Barrier(2)

    def touching(first: str, second: str) -> object:
        async def change(session: AsyncSession) -> None:
            nonlocal attempts
            attempts += 1
            await session.execute(update(Schedule).where(Schedule.name == first).values(last_due_at=utc_now()))
            if attempts <= 2:
                await both_hold_one.wait()
            await session.execute(update(Schedule).where(Schedule.name == second).values(last_due_at=utc_now()))

        return change

    await asyncio.gather(
        any_database.write_retrying(touching("a", "b")),  # type: ignore[arg-type]  # a change
        any_database.write_retrying(touching("b", "a")),  # type: ignore[arg-type]  # a change
    )
    assert attempts == 3


async def test_opening_creates_no_file(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/cairn.db", pool_size=1)
    await database.close()
    assert list(tmp_path.iterdir()) == []
