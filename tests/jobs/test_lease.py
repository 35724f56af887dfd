"""Who gets which job, on all three databases."""

from datetime import timedelta

import msgspec
import pytest

from cairn.db.database import Database
from cairn.jobs.context import JobContext
from cairn.jobs.lease import Claim, claim, fail
from cairn.jobs.queue import counts, enqueue
from cairn.jobs.registry import Registry


class Resize(msgspec.Struct, frozen=True):
    avatar_id: int


async def _nothing(context: JobContext, payload: dict[str, object]) -> None:
    """A job of which only the row matters."""


@pytest.fixture
def jobs() -> Registry:
    registry = Registry()
    registry.handler("resize", attempts_max=2)(_nothing)
    return registry


async def _enqueue(database: Database, **options: object) -> int:
    async with database.write() as session:
        return await enqueue(session, "resize", Resize(7), **options)  # type: ignore[arg-type]  # passed on


async def _claim(database: Database, jobs: Registry, *, limit: int = 10) -> list[Claim]:
    async with database.write() as session:
        return await claim(session, jobs, holder="0" * 32, limit=limit)


async def test_a_claimed_job_is_not_claimed_again(any_database: Database, jobs: Registry) -> None:
    await _enqueue(any_database)
    assert len(await _claim(any_database, jobs)) == 1
    assert await _claim(any_database, jobs) == []


async def test_a_delayed_job_is_not_due_before_its_time(any_database: Database, jobs: Registry) -> None:
    await _enqueue(any_database, delay=timedelta(hours=1))
    assert await _claim(any_database, jobs) == []


async def test_a_kind_nobody_here_knows_waits_for_somebody_who_does(any_database: Database, jobs: Registry) -> None:
    async with any_database.write() as session:
        await enqueue(session, "of_a_newer_version", {})
    assert await _claim(any_database, jobs) == []
    async with any_database.read() as session:
        assert (await counts(session)).waiting == 1


async def test_a_sequence_runs_one_at_a_time_in_order_even_through_a_retry(
    any_database: Database, jobs: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.jobs.lease.BACKOFF_SECONDS", 0)
    first, second = await _enqueue(any_database, sequence="a"), await _enqueue(any_database, sequence="a")
    elsewhere = await _enqueue(any_database, sequence="b")
    claimed = {held.job_id: held for held in await _claim(any_database, jobs)}
    assert claimed.keys() == {first, elsewhere}
    async with any_database.write() as session:
        assert not await fail(session, claimed[first], "no luck")
    [retry] = await _claim(any_database, jobs)
    assert retry.job_id == first
    async with any_database.write() as session:
        assert await fail(session, retry, "no luck either"), "dead after two attempts"
    [passed_over] = await _claim(any_database, jobs)
    assert passed_over.job_id == second
