"""Imports that break off: another worker goes on, a late one lands nothing, and nothing waits for ever."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer, Request
from tests.factories.git_repositories import StockRepository
from tests.factories.importing import (
    ask_for_import,
    claim_import,
    expire_leases,
    import_now,
    import_of,
    refs_of,
    wanted_refs,
)
from tests.factories.work import do_what_is_due

from cairn.base.clock import utc_now
from cairn.git.engine import Engine
from cairn.jobs.context import JobContext
from cairn.repositories.delete import delete_repository
from cairn.repositories.imports import jobs, refs
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.models import FailureKind, ImportState, RepositoryImport
from cairn.repositories.imports.start import cancel_import
from cairn.repositories.imports.work import ImportOf


async def test_another_worker_goes_on_where_a_killed_one_stopped(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refs, "BRANCHES_AT_ONCE", 1)
    made = await ask_for_import(forge, ada, server.url("r.git"))
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang_at_third(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.is_fetch and len(server.fetches) == 3:
            reached.set()
            await never.wait()
        return False

    server.answer = hang_at_third
    # topic-1 has a commit of its own, so that each group is a fetch.
    for number in range(2):
        tip = source.git("commit-tree", "trunk^{tree}", "-p", "trunk", "-m", f"t{number}").decode().strip()
        source.git("update-ref", f"refs/heads/topic-{number}", tip)
    context = await claim_import(forge)
    of = ImportOf(made.id, (await import_of(forge, made)).id)
    running = asyncio.create_task(jobs.import_repository(context, of))
    async with asyncio.timeout(60):
        await reached.wait()
    running.cancel()
    await asyncio.wait([running])
    here = await refs_of(forge, made)
    assert "refs/heads/trunk" in here
    assert set(here) < set(wanted_refs(source))
    before = len(server.fetches)
    server.answer = None
    await expire_leases(forge)
    await do_what_is_due(forge.engine)
    assert (await import_of(forge, made)).state is ImportState.DONE
    assert await refs_of(forge, made) == wanted_refs(source)
    # What had come was told to the source, so it did not come again.
    assert all(b"have " in request.body for request in server.fetches[before:])


async def test_a_worker_that_lost_its_lease_lands_nothing(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"))
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def pause(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.is_fetch and not reached.is_set():
            reached.set()
            await go_on.wait()
        return False

    server.answer = pause
    context = await claim_import(forge)
    of = ImportOf(made.id, (await import_of(forge, made)).id)
    slow = asyncio.create_task(jobs.import_repository(context, of))
    async with asyncio.timeout(60):
        await reached.wait()
    await expire_leases(forge)
    await do_what_is_due(forge.engine)
    done = await refs_of(forge, made)
    go_on.set()
    with pytest.raises(Exception, match="no longer held"):
        await slow
    assert await refs_of(forge, made) == done == wanted_refs(source)


async def test_cancelling_ends_the_fetch_and_forgets_the_password(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"), credentials=Credentials("a", "b"))
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.is_fetch:
            reached.set()
            await never.wait()
        return False

    server.answer = hang
    working = asyncio.create_task(do_what_is_due(forge.engine))
    async with asyncio.timeout(60):
        await reached.wait()
        async with forge.database.write() as session:
            await cancel_import(session, ada.actor, made.id)
        await working
    row = await import_of(forge, made)
    assert (row.state, row.sealed) == (ImportState.CANCELLED, None)
    assert await refs_of(forge, made) == {}
    assert forge.engine.runner.running == 0


async def test_a_repository_deleted_meanwhile_gets_nothing(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"))
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, made.id)
    await do_what_is_due(forge.engine)
    row = await import_of(forge, made)
    assert (row.state, row.sealed) == (ImportState.FAILED, None)
    assert await refs_of(forge, made) == {}


async def test_a_fetch_that_breaks_is_tried_again_and_what_came_stays(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ATTEMPTS_MAX", 1)
    monkeypatch.setattr(refs, "BRANCHES_AT_ONCE", 1)
    tip = source.git("commit-tree", "trunk^{tree}", "-p", "trunk", "-m", "more").decode().strip()
    source.git("update-ref", "refs/heads/topic-0", tip)

    async def cut_second(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.is_fetch and len(server.fetches) >= 2:
            writer.transport.abort()
            return True
        return False

    server.answer = cut_second
    made, row = await import_now(forge, ada, server.url("r.git"))
    assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.UNREACHABLE)
    assert "stays" in row.failure
    assert list(await refs_of(forge, made)) == ["refs/heads/trunk"]


async def test_an_import_without_a_job_ends_by_itself(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"), credentials=Credentials("a", "b"))
    long_ago = utc_now() - jobs.FORGOTTEN_AFTER - timedelta(minutes=1)
    async with forge.database.write() as session:
        await session.execute(update(RepositoryImport).values(seen_at=long_ago))
    await jobs.end_lost_imports(JobContext(forge.database, 1, 1, 1, {Engine: forge.engine}))
    row = await import_of(forge, made)
    assert (row.state, row.sealed) == (ImportState.FAILED, None)
