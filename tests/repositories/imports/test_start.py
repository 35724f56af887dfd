"""What people do with imports: how many at a time, once more, and never over what is there."""

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.importing import ask_for_import, import_now, import_of, refs_of
from tests.factories.work import do_what_is_due

from cairn.events.models import EventRow
from cairn.jobs.models import Job
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.models import FailureKind, ImportState, RepositoryImport
from cairn.repositories.imports.start import (
    ImportUnderWay,
    NoImport,
    NotEmpty,
    TooManyImports,
    Wanted,
    cancel_import,
    retry_import,
    start_import,
)
from cairn.repositories.models import Repository


async def test_a_wrong_password_says_so_and_the_right_one_goes_on(forge: Forge, ada: Person, server: GitServer) -> None:
    server.credentials = "ada:right"
    made, row = await import_now(forge, ada, server.url("r.git"), user="ada", password="wrong-one")
    assert (row.state, row.failure_kind, row.sealed) == (ImportState.FAILED, FailureKind.UNAUTHORIZED, None)
    assert "wrong-one" not in row.failure
    assert "token" in row.failure
    async with forge.database.write() as session:
        await retry_import(session, forge.engine.settings, ada.actor, made.id, Credentials("ada", "right"))
    await do_what_is_due(forge.engine)
    assert (await import_of(forge, made)).state is ImportState.DONE


async def test_a_crash_before_the_import_is_written_leaves_no_repository(
    forge: Forge, ada: Person, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is free, no event and no job tells of it, and asking again does it."""

    async def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cairn.repositories.imports.start.enqueue", die)
        with pytest.raises(KeyboardInterrupt):
            await ask_for_import(forge, ada, server.url("r.git"), "engine")
    async with forge.database.read() as session:
        for table in (Repository, RepositoryImport, EventRow, Job):
            assert (await session.scalars(select(table).limit(1))).all() == []
    made = await ask_for_import(forge, ada, server.url("r.git"), "engine")
    await do_what_is_due(forge.engine)
    assert (await import_of(forge, made)).state is ImportState.DONE


async def test_a_person_has_only_so_many_under_way_and_a_cancelled_one_makes_room(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    settings = forge.engine.settings
    first, *_ = [
        await ask_for_import(forge, ada, server.url("r.git"), f"engine-{number}")
        for number in range(settings.imports_per_person)
    ]
    with pytest.raises(TooManyImports, match="CAIRN_IMPORTS_PER_PERSON"):
        await ask_for_import(forge, ada, server.url("r.git"), "one-more")
    assert (await forge.api(ada).get("/repos/ada/one-more")).status_code == 404
    async with forge.database.write() as session:
        await cancel_import(session, ada.actor, first.id)
    await ask_for_import(forge, ada, server.url("r.git"), "one-more")


async def test_an_import_never_begins_over_another_or_over_code(forge: Forge, ada: Person, server: GitServer) -> None:
    wanted = Wanted(url=server.url("r.git"))
    waiting = await ask_for_import(forge, ada, server.url("r.git"))
    full = await forge.repository(ada, "full", files={"a.txt": b"a"})
    for repository, refusal in ((waiting, ImportUnderWay), (full, NotEmpty)):
        async with forge.database.write() as session:
            with pytest.raises(refusal):
                await start_import(session, forge.engine.settings, ada.actor, repository.id, wanted)
    assert list(await refs_of(forge, full)) == ["refs/heads/main"]


async def test_what_is_done_is_not_tried_again(forge: Forge, ada: Person, server: GitServer) -> None:
    made, row = await import_now(forge, ada, server.url("r.git"))
    async with forge.database.write() as session:
        with pytest.raises(NoImport):
            await retry_import(session, forge.engine.settings, ada.actor, made.id, Credentials())
    assert (await import_of(forge, made)).id == row.id
