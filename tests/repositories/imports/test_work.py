"""How a job tells how far it is, and learns that it is late."""

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.importing import ask_for_import, begin_attempt, import_of

from cairn.jobs.context import LeaseLost
from cairn.repositories.imports import work
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.models import FailureKind, ImportState, ImportStep
from cairn.repositories.imports.start import cancel_import, retry_import
from cairn.repositories.imports.work import ImportGivenUp


async def test_progress_is_written_only_so_often(
    forge: Forge, ada: Person, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "WRITE_SECONDS", 3600.0)
    made = await ask_for_import(forge, ada, server.url("r.git"))
    progress = (await begin_attempt(forge, made)).progress
    await progress.note(step=ImportStep.FETCHING, percent=10)
    await progress.note_now_and_then(percent=20)
    row = await import_of(forge, made)
    assert (row.state, row.step, row.percent) == (ImportState.RUNNING, ImportStep.FETCHING, 10)
    monkeypatch.setattr(work, "WRITE_SECONDS", 0.0)
    await progress.note_now_and_then(percent=30)
    assert (await import_of(forge, made)).percent == 30


async def test_an_attempt_of_an_earlier_time_changes_nothing(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"))
    late = await begin_attempt(forge, made)
    async with forge.database.write() as session:
        await cancel_import(session, ada.actor, made.id)
        await retry_import(session, forge.engine.settings, ada.actor, made.id, Credentials("ada", "new"))
    with pytest.raises(ImportGivenUp):
        await late.progress.fail(late.row, FailureKind.OTHER, "late")
    row = await import_of(forge, made)
    assert (row.state, row.failure) == (ImportState.WAITING, "")
    assert row.sealed is not None


async def test_an_attempt_whose_job_another_holds_changes_nothing(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"))
    late = await begin_attempt(forge, made)
    await begin_attempt(forge, made)
    with pytest.raises(LeaseLost):
        await late.progress.finish(late.row, "")
    assert (await import_of(forge, made)).state is ImportState.WAITING


async def test_a_long_reason_is_cut_and_the_password_gone(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"), credentials=Credentials("ada", "b"))
    attempt = await begin_attempt(forge, made)
    await attempt.progress.fail(attempt.row, FailureKind.REFUSED, "x" * 5000)
    row = await import_of(forge, made)
    assert (row.state, row.sealed, row.failure) == (ImportState.FAILED, None, "x" * 1000)
