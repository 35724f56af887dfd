"""The settings page of large objects."""

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge, Person
from tests.factories.lfs import let

from cairn.access.roles import Role
from cairn.audit.models import AuditEntry
from cairn.base.clock import utc_now
from cairn.lfs.locks import create_lock, list_locks
from cairn.lfs.models import LfsUsage
from cairn.repositories.queries import RepositoryView, find_repository

PAGE = "/ada/engine/settings/lfs"


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada."""
    return await forge.person("ada")


@pytest.fixture
async def engine(forge: Forge, ada: Person) -> RepositoryView:
    """Her repository, in which Grace, who may push, locked a file."""
    made = await forge.repository(ada, "engine")
    grace = await forge.person("grace")
    await forge.grant(made, grace, Role.WRITE)
    async with forge.database.write() as session:
        await create_lock(session, let(grace.actor), made.id, "art/<cover>.psd")
    return made


async def test_the_page_tells_how_much_there_is(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    assert "<dd>0</dd>" in (await forge.browser(ada).get(PAGE)).text
    async with forge.database.write() as session:
        session.add(LfsUsage(repository_id=engine.id, objects=12345, object_bytes=3 << 30, collected_at=utc_now()))
    shown = (await forge.browser(ada).get(PAGE)).text
    assert "12,345" in shown
    assert "3 GiB" in shown
    assert PAGE in (await forge.browser(ada).get("/ada/engine/settings")).text


async def test_a_lock_is_shown_and_released(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    browser = forge.browser(ada)
    shown = (await browser.get(PAGE)).text
    assert "art/&lt;cover&gt;.psd" in shown
    assert 'locked by <a href="/grace">grace</a>' in shown
    async with forge.database.read() as session:
        [lock] = (await list_locks(session, engine.id)).locks
    done = await browser.submit(f"{PAGE}/unlock", {"id": lock.id}, page=PAGE)
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    assert "No locks" in (await browser.get(PAGE)).text


async def test_only_who_maintains_sees_the_page(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    grace = forge.people["grace"]
    assert (await forge.browser(grace).get(PAGE)).status_code == 403
    async with forge.database.read() as session:
        [lock] = (await list_locks(session, engine.id)).locks
    refused = await forge.browser(grace).submit(f"{PAGE}/unlock", {"id": lock.id}, page="/-/appearance")
    assert refused.status_code == 403
    assert "art/" in (await forge.browser(ada).get(PAGE)).text


async def test_the_switches_are_kept_and_audited(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    browser = forge.browser(ada)
    assert (await browser.get(PAGE)).text.count("checked") == 0
    wanted = {"has_lfs_in_archives": "true", "allows_lost_lfs": "true"}
    done = await browser.submit(PAGE, wanted, page=PAGE)
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    assert (await browser.get(PAGE)).text.count("checked") == 2
    async with forge.database.read() as session:
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "repository.update"))
    assert "allows_lost_lfs" in str(entry.changes)
    await browser.submit(PAGE, {"allows_lost_lfs": "true"}, page=PAGE)
    async with forge.database.read() as session:
        repository = await find_repository(session, ada.actor, "ada", "engine")
    assert (repository.has_lfs_in_archives, repository.allows_lost_lfs) == (False, True)
    grace = forge.people["grace"]
    refused = await forge.browser(grace).submit(PAGE, {}, page="/-/appearance")
    assert refused.status_code == 403
