"""A program that runs is seen, one that stopped is not, and one that died is told apart."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.ops.heartbeat import FORGOTTEN_AFTER, beating, list_programs
from cairn.ops.models import RunningProgram


async def _kinds(database: Database) -> list[str]:
    async with database.read() as session:
        return [program.kind for program in await list_programs(session)]


async def _until_seen(database: Database, kinds: list[str]) -> None:
    async with asyncio.timeout(20):
        while await _kinds(database) != kinds:
            await asyncio.sleep(0.02)


async def test_a_program_is_seen_while_it_runs(any_database: Database) -> None:
    async with beating(any_database, "web"), beating(any_database, "worker"):
        await _until_seen(any_database, ["web", "worker"])
    assert await _kinds(any_database) == []


async def test_it_renews_its_row(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.ops.heartbeat.BEAT_SECONDS", 0.01)
    async with beating(database, "web"):
        await _until_seen(database, ["web"])
        async with database.write() as session:
            long_ago = await database_now(session, plus=-timedelta(hours=1))
            await session.execute(update(RunningProgram).values(last_seen_at=long_ago))
        async with asyncio.timeout(20):
            while True:
                async with database.read() as session:
                    [program] = await session.scalars(select(RunningProgram))
                if program.last_seen_at > long_ago:
                    break
                await asyncio.sleep(0.01)


async def test_who_died_is_forgotten_when_the_next_one_starts(database: Database) -> None:
    async with database.write() as session:
        moment = await database_now(session)
        for name, age in (("dead", FORGOTTEN_AFTER * 2), ("silent", FORGOTTEN_AFTER / 2)):
            session.add(
                RunningProgram(
                    id=name.ljust(32, "0"), node="n", kind=name, pid=1, version="1", started_at=moment,
                    last_seen_at=moment - age,
                )
            )  # fmt: skip
    async with beating(database, "web"):
        await _until_seen(database, ["silent", "web"])
        async with database.read() as session:
            assert set(await session.scalars(select(RunningProgram.kind))) == {"silent", "web"}
