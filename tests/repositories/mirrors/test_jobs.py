"""Two nodes and one mirror: one sync at a time, a late worker lands nothing, and what is due is found once."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from tests.factories.accounts import actor_of, make_account
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer, Request
from tests.factories.git_repositories import StockRepository
from tests.factories.importing import expire_leases, refs_of, wanted_refs
from tests.factories.mirroring import PAST, empty_target, mirror_now, mirror_of, sync_again
from tests.factories.work import do_what_is_due, services_of

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.engine import open_engine
from cairn.jobs.context import JobContext, LeaseLost
from cairn.jobs.lease import claim
from cairn.jobs.models import Job, JobState
from cairn.jobs.registry import registry
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.mirrors import jobs
from cairn.repositories.mirrors.edit import WantedMirror, list_mirrors, make_mirror, remove_mirror, sync_now
from cairn.repositories.mirrors.guard import SYNC_KIND, SyncOf
from cairn.repositories.mirrors.models import FORGOTTEN_AFTER, Mirror
from cairn.repositories.models import Repository
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import open_storage


async def take(forge: Forge) -> list[JobContext]:
    """Return what a worker of another node would run now."""
    async with forge.database.write() as session:
        held = await claim(session, registry, holder="another", limit=10)
    assert all(one.handler.kind == SYNC_KIND for one in held)
    return [JobContext(forge.database, one.job_id, one.fencing, one.attempt, services_of(forge.engine)) for one in held]


async def test_two_nodes_never_sync_one_mirror_at_once(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hang(request: Request, writer: asyncio.StreamWriter) -> bool:
        reached.set()
        await go_on.wait()
        return False

    source.git("update-ref", "refs/heads/new", source.oid("refs/heads/trunk"))
    server.answer = hang
    await _ask(forge, ada, mirror)
    [context] = await take(forge)
    running = asyncio.create_task(jobs.sync_mirror(context, SyncOf(mirror.id)))
    async with asyncio.timeout(60):
        await reached.wait()
    for _ in range(2):
        await _ask(forge, ada, mirror)
        await _tick(forge)
        assert await take(forge) == [], "the other node finds nothing to do"
    go_on.set()
    await running
    assert await refs_of(forge, made) == wanted_refs(source)


async def test_a_worker_that_lost_its_job_lands_nothing(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    before = await refs_of(forge, made)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hang_first(request: Request, writer: asyncio.StreamWriter) -> bool:
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        return False

    source.git("update-ref", "refs/heads/new", source.oid("refs/heads/trunk~1"))
    server.answer = hang_first
    await _ask(forge, ada, mirror)
    [late] = await take(forge)
    running = asyncio.create_task(jobs.sync_mirror(late, SyncOf(mirror.id)))
    async with asyncio.timeout(60):
        await reached.wait()
    await expire_leases(forge)
    [other] = await take(forge)
    go_on.set()
    with pytest.raises(LeaseLost):
        await running
    assert await refs_of(forge, made) == before
    await jobs.sync_mirror(other, SyncOf(mirror.id))
    assert await refs_of(forge, made) == wanted_refs(source)


async def test_what_is_due_is_asked_for_once(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    await _tick(forge)
    assert await _waiting(forge) == 0, "it is not due before an hour is over"
    await _make_due(forge, mirror)
    await asyncio.gather(*(_tick(forge) for _ in range(3)))
    assert await _waiting(forge) == 1
    await do_what_is_due(forge.engine)
    found = await mirror_of(forge, mirror.id)
    assert found.synced_at is not None
    assert found.due_at == found.synced_at + timedelta(minutes=found.interval_minutes)


async def test_a_sync_whose_job_is_gone_begins_anew(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    await _make_due(forge, mirror)
    await _tick(forge)
    async with forge.database.write() as session:
        await session.execute(text("DELETE FROM job"))
    mirror = await mirror_of(forge, mirror.id)
    assert mirror.synced_at is not None
    assert mirror.due_at < mirror.synced_at + FORGOTTEN_AFTER
    source.git("update-ref", "refs/heads/new", source.oid("refs/heads/trunk"))
    await sync_again(forge, mirror)
    assert await refs_of(forge, made) == wanted_refs(source)


async def test_a_defect_of_ours_is_tried_again_and_then_told(
    forge: Forge, ada: Person, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)

    async def break_down(sync: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(jobs, "pull", break_down)
    await _ask(forge, ada, mirror)
    for attempt in range(1, jobs.ATTEMPTS_MAX + 1):
        [context] = await take(forge)
        with pytest.raises(RuntimeError):
            await jobs.sync_mirror(context, SyncOf(mirror.id))
        found = await mirror_of(forge, mirror.id)
        assert found.failures == (attempt == jobs.ATTEMPTS_MAX)
        await expire_leases(forge)
    assert "a defect" not in found.failure
    assert "finds it in the log" in found.failure


async def _ask(forge: Forge, ada: Person, mirror: Mirror) -> None:
    async with forge.database.write() as session:
        await sync_now(session, forge.engine.settings, ada.actor, mirror.repository_id, mirror.id)


async def _tick(forge: Forge) -> None:
    await jobs.ask_for_due_mirrors(JobContext(forge.database, 0, 0, 1, services_of(forge.engine)))


async def _make_due(forge: Forge, mirror: Mirror) -> None:
    async with forge.database.write() as session:
        await session.execute(update(Mirror).where(Mirror.id == mirror.id).values(due_at=PAST))


async def _waiting(forge: Forge) -> int:
    async with forge.database.read() as session:
        waiting = select(func.count()).where(Job.kind == SYNC_KIND, Job.state == JobState.WAITING)
        return await session.scalar(waiting) or 0


async def test_every_database_keeps_mirrors_alike(
    any_database: Database, tmp_path: Path, server: GitServer, source: StockRepository
) -> None:
    """A pull mirror that is followed itself: made, synced, chained, failing and ended on each kind of database."""
    target = empty_target(server.root)
    settings = Settings(data_dir=tmp_path / "data", egress_allow=("127.0.0.0/8",))
    async with open_engine(settings, any_database, open_storage(settings), make_examine=make_examine) as engine:
        async with any_database.write() as session:
            ada = actor_of(await make_account(session, "ada"))
        made = await create_repository(any_database, engine, ada, NewRepository(name="engine"))
        async with any_database.write() as session:
            wanted = WantedMirror(url=server.url("r.git"))
            pull = await make_mirror(session, settings, ada, made.id, wanted, is_pull=True)
        async with any_database.write() as session:
            wanted = WantedMirror(url=server.url("copy.git"))
            push = await make_mirror(session, settings, ada, made.id, wanted, is_pull=False)
        context = JobContext(any_database, 0, 0, 1, services_of(engine))
        await asyncio.gather(*(jobs.ask_for_due_mirrors(context) for _ in range(2)))
        async with any_database.read() as session:
            kinds = list(await session.scalars(select(Job.kind).where(Job.state == JobState.WAITING)))
        assert kinds.count(SYNC_KIND) == 2
        await do_what_is_due(engine)
        async with any_database.write() as session:
            await session.execute(update(Job).where(Job.state == JobState.WAITING).values(due_at=PAST))
        await do_what_is_due(engine)
        assert wanted_refs(target) == wanted_refs(source)
        server.credentials = "nobody:knows"
        async with any_database.write() as session:
            await session.execute(update(Mirror).values(due_at=PAST))
        await jobs.ask_for_due_mirrors(context)
        await do_what_is_due(engine)
        async with any_database.read() as session:
            found = await list_mirrors(session, made.id)
        assert [(one.id, one.failures) for one in found] == [(pull.id, 1), (push.id, 1)]
        for mirror in found:
            async with any_database.write() as session:
                await remove_mirror(session, ada, made.id, mirror.id)
        async with any_database.read() as session:
            assert (await session.get_one(Repository, made.id)).mirror_url == ""
