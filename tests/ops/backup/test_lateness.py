"""A late backup and a failed drill are seen by whoever watches the node."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.backups import Site

from cairn.base.settings import Settings
from cairn.ops.backup.drill import DrillFailed
from cairn.ops.backup.lateness import backup_ages, backup_problem
from cairn.ops.backup.models import BackupRun, RunKind
from cairn.ops.backup.runs import running
from cairn.ops.health import Health, standard_probes
from cairn.ops.metrics import Metrics

pytest_plugins = ["tests.factories.backups"]


async def _pass(site: Site, time: timedelta) -> None:
    async with site.engine.database.write() as session:
        for run in await session.scalars(select(BackupRun)):
            assert run.finished_at is not None
            run.finished_at -= time


async def test_no_backup_a_young_one_and_an_old_one(site: Site) -> None:
    database = site.engine.database
    assert await backup_problem(site.settings, database) == "there is no backup yet"
    assert await backup_problem(Settings(), database) == "", "none is wanted"
    ages = await backup_ages(database)
    assert (ages.backup_seconds, ages.drill_seconds) == (None, None)
    await site.back_up()
    assert await backup_problem(site.settings, database) == ""
    await _pass(site, timedelta(seconds=site.settings.backup_every_seconds * 2 + 60))
    assert "the newest backup is of" in await backup_problem(site.settings, database)
    age = (await backup_ages(database)).backup_seconds
    assert age is not None
    assert age > site.settings.backup_every_seconds * 2


async def _fail(site: Site, kind: RunKind, error: Exception) -> None:
    async with running(site.engine.database, kind, place=None):
        raise error


async def test_why_it_failed_is_said(site: Site) -> None:
    with pytest.raises(DrillFailed):
        await _fail(site, RunKind.CREATE, DrillFailed("the disk is full"))
    problem = await backup_problem(site.settings, site.engine.database)
    assert problem.startswith("there is no backup yet; the last try failed at ")
    assert problem.endswith("UTC: the disk is full")
    await site.back_up()
    with pytest.raises(DrillFailed):
        await _fail(site, RunKind.DRILL, DrillFailed("3 findings"))
    assert await backup_problem(site.settings, site.engine.database) == "the newest drill failed: 3 findings"


@pytest.fixture
async def watched(site: Site) -> tuple[Site, Health]:
    probes = standard_probes(site.settings, site.engine.database, site.engine.storage)
    moments = iter(range(1000, 100_000, 1000))
    return site, Health({"database": probes["database"], "backup": probes["backup"]}, monotonic=lambda: next(moments))


async def test_the_readiness_page_is_degraded_until_there_is_one(watched: tuple[Site, Health]) -> None:
    site, health = watched
    found = await health.readiness()
    assert (found.status, found.checks["backup"].reason) == ("degraded", "there is no backup yet")
    await site.back_up()
    assert (await health.readiness()).status == "ready"


async def test_the_metrics_tell_the_age() -> None:
    metrics = Metrics(program="test")
    metrics.set_backup_ages(backup_seconds=12.5, drill_seconds=None)
    page = metrics.render().decode()
    assert 'cairn_backup_age_seconds{kind="backup"} 12.5' in page
    assert 'kind="drill"' not in page
