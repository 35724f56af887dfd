"""One run holds a target at a time; a dead one holds it no longer than its time."""

import asyncio

import pytest
from sqlalchemy import select, update

from cairn.base.errors import Conflict
from cairn.db.database import Database
from cairn.ops.backup import runs
from cairn.ops.backup.models import BackupRun, RunKind, RunState
from cairn.ops.backup.runs import RunLost, TargetBusy, last_run, place_of, require_alive, running

PLACE = place_of("file:///backups")


class Broken(Conflict):
    """A test's own failure."""


async def _only(database: Database) -> BackupRun:
    async with database.read() as session:
        return (await session.scalars(select(BackupRun))).one()


async def _die(database: Database) -> None:
    """Make the run's time be over, as if its program had been killed."""
    async with database.write() as session:
        for run in await session.scalars(select(BackupRun)):
            run.alive_until -= 2 * runs.LIFETIME


async def test_a_run_is_recorded_with_its_end_and_frees_its_place(any_database: Database) -> None:
    async with running(any_database, RunKind.CREATE, place=PLACE, backup="b") as run:
        assert (await _only(any_database)).state is RunState.RUNNING
        run.told = "well done"
    found = await _only(any_database)
    assert (found.state, found.told, found.place, found.backup) == (RunState.DONE, "well done", None, "b")
    assert found.finished_at is not None
    last = await last_run(any_database, RunKind.CREATE)
    assert (last.done_at, last.failed_at) == (found.finished_at, None)
    assert (await last_run(any_database, RunKind.DRILL)).done_at is None


async def _fail(database: Database) -> None:
    async with running(database, RunKind.CREATE, place=PLACE):
        raise Broken("no room")


async def test_a_failure_is_noted_and_passes(any_database: Database) -> None:
    with pytest.raises(Broken):
        await _fail(any_database)
    found = await _only(any_database)
    assert (found.state, found.told, found.place) == (RunState.FAILED, "no room", None)


async def test_only_one_run_holds_a_place_and_other_places_are_free(any_database: Database) -> None:
    async with running(any_database, RunKind.CREATE, place=PLACE):
        with pytest.raises(TargetBusy):
            async with running(any_database, RunKind.PRUNE, place=PLACE):
                pass
        async with running(any_database, RunKind.PRUNE, place=place_of("file:///elsewhere")):
            pass
        async with running(any_database, RunKind.DRILL, place=None), running(any_database, RunKind.DRILL, place=None):
            pass


async def _be_overtaken(database: Database) -> None:
    async with running(database, RunKind.CREATE, place=PLACE) as run:
        await _die(database)
        async with running(database, RunKind.PRUNE, place=PLACE):
            await require_alive(database, run)


async def test_the_place_of_a_dead_run_is_taken_and_the_dead_one_cannot_go_on(any_database: Database) -> None:
    with pytest.raises(RunLost):
        await _be_overtaken(any_database)
    last = await last_run(any_database, RunKind.CREATE)
    assert (last.done_at, last.told) == (None, "died")


async def test_a_living_run_is_kept_alive_with_everything_it_keeps(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BEAT_SECONDS", 0.01)
    beaten = asyncio.Event()

    async def beat() -> None:
        beaten.set()

    async with running(any_database, RunKind.CREATE, place=PLACE) as run:
        await _die(any_database)
        run.beats.append(beat)
        async with asyncio.timeout(30):
            await beaten.wait()
        assert (await _only(any_database)).alive_until > await any_database.now()


async def _wait_for_ever(database: Database) -> None:
    async with running(database, RunKind.CREATE, place=PLACE):
        async with database.write() as session:
            await session.execute(update(BackupRun).values(state=RunState.FAILED))
        await asyncio.Event().wait()


async def test_a_run_whose_row_is_gone_is_stopped(any_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BEAT_SECONDS", 0.01)
    with pytest.raises(RunLost):
        await _wait_for_ever(any_database)
