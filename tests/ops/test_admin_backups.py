"""Administrators see what became of backups, and have one made; nobody else learns that there are any."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select
from tests.factories.forge import HANDLERS, PACKAGES, Forge, open_forge
from tests.ops.admin_support import administrator

from cairn.audit.models import AuditEntry
from cairn.git.pins import set_pin
from cairn.jobs.models import Job
from cairn.ops import admin_backups
from cairn.ops.backup.create import Live, create_backup
from cairn.ops.backup.jobs import CREATE_KIND
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.runs import running
from cairn.ops.backup.target import open_target
from cairn.programs.schema import metadata

PAGE = "/admin/backups"
API = "/api/cairn/v1/backups"


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    target = tmp_path / "backups"
    async with open_forge(
        tmp_path / "forge",
        sqlite_template,
        route_handlers=(*HANDLERS, *admin_backups.route_handlers),
        packages=tuple(dict.fromkeys((*PACKAGES, "cairn.identity", "cairn.ops"))),
        settings={"backup_url": target.as_uri()},
    ) as forge:
        yield forge


def _live(site: Forge) -> Live:
    return Live(site.running.settings, site.database, site.engine.storage, metadata())


async def test_what_is_kept_done_and_pinned_stands_on_the_page_and_in_the_api(site: Forge) -> None:
    root = await administrator(site)
    await site.repository(root, "engine", files={"README.md": b"# Engine"})
    settings = site.running.settings
    manifest = await create_backup(_live(site), open_target(settings, settings.backup_url))
    with pytest.raises(ZeroDivisionError):
        async with running(site.database, RunKind.DRILL, place=None, backup=manifest.id):
            raise ZeroDivisionError
    await set_pin(site.database, "a pin of this test", lifetime=timedelta(hours=1))
    await set_pin(site.database, "a pin that expired", lifetime=-timedelta(hours=1))
    shown = (await site.browser(root).get(PAGE)).text
    for text in (manifest.id, "Failed", "ZeroDivisionError", "a pin of this test", "in 24 hours", "Back up now"):
        assert text in shown, text
    assert "a pin that expired" not in shown
    answer = (await _asked(site)).json()
    [backup] = answer["backups"]
    assert (backup["id"], backup["objects"], backup["missing_objects"]) == (manifest.id, manifest.objects, 0)
    assert backup["bytes"] == manifest.object_bytes + manifest.own_bytes > 0
    assert backup["drill"]["state"] == "failed"
    assert {(run["kind"], run["state"]) for run in answer["runs"]} == {("create", "done"), ("drill", "failed")}
    assert answer["next_backup_at"] > backup["taken_at"]
    assert settings.backup_url not in str(answer) + shown, "an address may hold secrets"


async def _asked(site: Forge) -> httpx2.Response:
    path, root = API, site.people["root"]
    token = await site.token(root.account, "site_admin")
    return await site.running.client(authorization=f"token {token}").get(path)


async def test_a_target_that_cannot_be_read_is_said_and_hides_nothing_else(site: Forge, tmp_path: Path) -> None:
    root = await administrator(site)
    settings = site.running.settings
    await create_backup(_live(site), open_target(settings, settings.backup_url))
    [manifest] = (tmp_path / "backups").rglob("manifest*")
    manifest.write_bytes(b"no manifest")
    shown = await site.browser(root).get(PAGE)
    assert shown.status_code == 200
    assert "cannot be read" in shown.text
    assert "What was done" in shown.text


async def test_one_is_begun_once_and_that_is_audited(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    for _ in range(2):
        answer = await browser.submit(f"{PAGE}/start", {}, page=PAGE)
        assert answer.status_code == 303
    async with site.database.read() as session:
        jobs = (await session.scalars(select(Job.kind).where(Job.kind == CREATE_KIND))).all()
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "backup.start"))).all()
    assert jobs == [CREATE_KIND]
    assert [entry.actor for entry in entries] == ["root", "root"]


async def test_nobody_else_learns_of_backups(site: Forge) -> None:
    await administrator(site)
    ada = await site.person("ada")
    assert (await site.browser(ada).get(PAGE)).status_code == 404
    assert (await site.browser(ada).submit(f"{PAGE}/start", {}, page="/")).status_code == 404
    token = await site.token(ada.account, "site_admin")
    for headers in ({}, {"authorization": f"token {token}"}):
        assert (await site.running.client(**headers).get(API)).status_code in {401, 404}
    async with site.database.read() as session:
        assert (await session.scalars(select(Job.kind).where(Job.kind == CREATE_KIND))).all() == []
