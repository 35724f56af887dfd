"""The worker makes backups when they are due, prunes after them, and drills."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import MetaData, select
from tests.factories.backups import Site
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.git.engine import Engine
from cairn.git.models import PurgedObject
from cairn.jobs.context import JobContext
from cairn.jobs.models import Job, JobState
from cairn.ops.backup.denials import read_denials
from cairn.ops.backup.jobs import (
    CREATE_KIND,
    DRILL_KIND,
    RETRIED_AFTER,
    Nothing,
    create_scheduled,
    drill_scheduled,
    is_due,
    look_after_backups,
    next_due,
)
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.runs import LastRun, last_run
from cairn.programs.schema import metadata

pytest_plugins = ["tests.factories.backups"]
NOW = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("done", "failed", "due"),
    [
        (None, None, True),
        (25 * HOUR, None, True),
        (23 * HOUR, None, False),
        (25 * HOUR, RETRIED_AFTER / 2, False),
        (25 * HOUR, RETRIED_AFTER * 2, True),
        (None, RETRIED_AFTER / 2, False),
    ],
)
def test_a_run_is_due_after_its_interval_and_a_failed_one_after_an_hour(
    done: timedelta | None, failed: timedelta | None, due: bool
) -> None:
    run = LastRun(None if done is None else NOW - done, None if failed is None else NOW - failed)
    assert is_due(run, 24 * 3600, NOW) is due
    assert not is_due(run, 0, NOW), "0 is never"
    told = next_due(run, 24 * 3600, NOW)
    assert told is not None
    assert (told == NOW) is due
    assert is_due(run, 24 * 3600, told + timedelta(microseconds=1)), "what is told comes true"
    assert next_due(run, 0, NOW) is None


def _context(site: Site, settings: Settings) -> JobContext:
    services = {
        Engine: site.engine,
        Settings: settings,
        MetaData: metadata(),
        SecretBox: SecretBox(["k" * 32]),
    }
    return JobContext(site.engine.database, job_id=1, fencing=1, attempt=1, services=services)


async def _waiting(site: Site) -> list[str]:
    async with site.engine.database.read() as session:
        kinds = await session.scalars(select(Job.kind).where(Job.state == JobState.WAITING).order_by(Job.kind))
        return [kind for kind in kinds if kind.startswith("ops.backup")]


@pytest.fixture
async def context(site: Site) -> JobContext:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(2)
    return _context(site, site.settings)


async def test_without_a_target_nothing_happens(site: Site) -> None:
    await look_after_backups(_context(site, msgspec.structs.replace(site.settings, backup_url="")))
    assert await _waiting(site) == []


async def test_what_is_due_is_done_once_and_then_due_no_more(site: Site, context: JobContext) -> None:
    for _ in range(2):
        await look_after_backups(context)
        assert await _waiting(site) == [CREATE_KIND, DRILL_KIND]
    await drill_scheduled(context, Nothing())
    assert (await last_run(site.engine.database, RunKind.DRILL)).done_at is None, "there was nothing to drill"
    await create_scheduled(context, Nothing())
    await drill_scheduled(context, Nothing())
    async with site.engine.database.write() as session:
        for job in await session.scalars(select(Job)):
            await session.delete(job)
    for kind in (RunKind.CREATE, RunKind.PRUNE, RunKind.DRILL):
        run = await last_run(site.engine.database, kind)
        assert (run.done_at is not None, run.failed_at) == (True, None), run.told
    await look_after_backups(context)
    assert await _waiting(site) == []
    assert len(await site.target.read_manifests()) == 1


async def test_a_purge_reaches_the_target_before_the_next_backup(site: Site, context: JobContext) -> None:
    await create_scheduled(context, Nothing())
    async with site.engine.database.write() as session:
        session.add(PurgedObject(store_id=1, oid="a" * 40, at=NOW))
    await look_after_backups(context)
    assert [item.id for item in await read_denials(site.target)] == ["a" * 40]
