"""What administrators see of the installation, and what nobody else does."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge
from tests.ops.admin_support import administrator, site

from cairn.audit.models import AuditEntry
from cairn.base.settings import load_settings
from cairn.db.clock import database_now
from cairn.jobs.models import Job, JobState
from cairn.ops.admin_frame import PER_PAGE, SECTIONS
from cairn.ops.admin_pages import shown_settings
from cairn.ops.models import RunningProgram

__all__ = ["site"]

PATHS = ["/admin" + path for path, _, _ in SECTIONS if path != "/mail"] + ["/admin/users/new", "/admin/users/root"]


@pytest.mark.parametrize("path", PATHS)
async def test_only_an_administrator_sees_it(site: Forge, path: str) -> None:
    ada, sue = await site.person("ada"), await site.person("sue")
    root = await administrator(site)
    for person in (ada, sue):
        assert (await site.browser(person).get(path)).status_code == 404
    assert (await site.browser().get(path)).status_code in {303, 404}
    token = await site.token(root.account, "repo", "user")
    headers = {"authorization": f"Bearer {token}"}
    assert (await site.running.client(**headers).get(path)).status_code in {401, 403, 404}
    answer = await site.browser(root).get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert 'aria-current="page"' in answer.text


async def test_repositories_are_listed_by_size_page_by_page(site: Forge) -> None:
    ada, root = await site.person("ada"), await administrator(site)
    await site.repository(ada, "small", files={"a": b"x"})
    await site.repository(ada, "large", files={"a": bytes(range(256)) * 4000 + b"end"})
    for number in range(PER_PAGE):
        await site.repository(ada, f"empty-{number:02}")
    browser = site.browser(root)
    first = (await browser.get("/admin/repositories")).text
    assert first.index("ada/large") < first.index("ada/small") < first.index(f"ada/empty-{PER_PAGE - 1:02}")
    names = [f"ada/empty-{number:02}" for number in range(PER_PAGE)]
    shown = [name for name in names if name in first]
    assert len(shown) == PER_PAGE - 2
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link
    second = (await browser.get(unescape(link[1]))).text
    assert [name for name in names if name in second] == [name for name in names if name not in shown]
    assert "ada/large" not in second
    found = (await browser.get("/admin/repositories?text=ada/sm")).text
    assert "ada/small" in found
    assert "ada/large" not in found


async def _dead_job(site: Forge, kind: str) -> int:
    async with site.database.write() as session:
        moment = await database_now(session)
        job = Job(
            kind=kind, payload={}, state=JobState.DEAD, due_at=moment, created_at=moment, finished_at=moment,
            attempts=8, last_error="<script>boom</script>",
        )  # fmt: skip
        session.add(job)
        await session.flush()
        return job.id


async def _states(site: Forge) -> dict[int, str]:
    async with site.database.read() as session:
        return {job.id: str(job.state) for job in await session.scalars(select(Job))}


async def test_dead_jobs_are_seen_retried_and_discarded(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    retried, discarded = await _dead_job(site, "test.retried"), await _dead_job(site, "test.discarded")
    page = (await browser.get("/admin/jobs")).text
    assert "test.retried" in page
    assert "&lt;script&gt;boom" in page
    assert (await browser.submit(f"/admin/jobs/{retried}/retry", {}, page="/admin/jobs")).status_code == 303
    assert (await browser.submit(f"/admin/jobs/{discarded}/discard", {}, page="/admin/jobs")).status_code == 303
    assert await _states(site) == {retried: "waiting"}
    assert (await browser.submit(f"/admin/jobs/{retried}/discard", {}, page="/admin/users/new")).status_code == 404
    async with site.database.read() as session:
        told = (await session.execute(select(AuditEntry.action, AuditEntry.target).order_by(AuditEntry.id))).all()
    assert [tuple(row) for row in told] == [
        ("job.retry", f"test.retried {retried}"), ("job.discard", f"test.discarded {discarded}"),
    ]  # fmt: skip
    assert "1 waiting" in (await browser.get("/admin")).text


async def test_programs_that_fell_silent_are_marked(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    async with site.database.write() as session:
        moment = await database_now(session)
        for kind, age in (("web", 0), ("worker", 600), ("ssh", 2 * 86400)):
            session.add(
                RunningProgram(
                    id=kind.ljust(32, "0"), node="node-1", kind=kind, pid=7, version="1", started_at=moment,
                    last_seen_at=moment - timedelta(seconds=age),
                )
            )  # fmt: skip
    page = (await browser.get("/admin/programs")).text
    assert page.count("node-1") == 2  # who was not seen for a day is forgotten
    assert page.count("Silent") == 1
    assert "1 program" in (await browser.get("/admin")).text


def test_settings_tell_their_source_and_never_a_secret(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("hunter2" * 8)
    environ = {
        "CAIRN_SECRET_KEY_FILE": str(secret),
        "CAIRN_REDIS_URL": "redis://:hunter2@h/0",
        "CAIRN_SESSION_DAYS": "7",
        "CAIRN_SECRET_KEYS_OLD": "hunter2" * 8,
    }
    rows = {row.name: row for row in shown_settings(load_settings(environ), environ)}
    assert "hunter2" not in repr(rows)
    assert (rows["CAIRN_SECRET_KEY"].value, rows["CAIRN_SECRET_KEY"].source) == ("••••", "file")
    assert (rows["CAIRN_REDIS_URL"].value, rows["CAIRN_REDIS_URL"].source) == ("••••", "environment")
    assert (rows["CAIRN_SESSION_DAYS"].value, rows["CAIRN_SESSION_DAYS"].source) == ("7", "environment")
    assert (rows["CAIRN_STORAGE_URL"].value, rows["CAIRN_STORAGE_URL"].source) == ("", "default")
    assert rows["CAIRN_PUSH_TRANSPORTS"].value == "http,ssh"


async def test_storage_tells_what_is_kept(site: Forge) -> None:
    ada, root = await site.person("ada"), await administrator(site)
    await site.repository(ada, "engine", files={"a": b"x"})
    page = (await site.browser(root).get("/admin/storage")).text
    assert "Live" in page
    assert "1 pack, " in page
    assert "Closed" in page
