"""Large objects come one by one, each proved by its bytes, and those that are here are never asked for again."""

from hashlib import sha256

import pytest
from tests.factories import git_repositories
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.git_ssh import Process, give_key, run_git, serve_git_ssh
from tests.factories.importing import import_now, import_of, refs_of
from tests.factories.lfs_source import LfsSource
from tests.factories.work import do_what_is_due

from cairn.lfs.objects import StoredObject, find_objects
from cairn.repositories.imports import lfs_objects
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.models import FailureKind, ImportState
from cairn.repositories.imports.start import retry_import
from cairn.repositories.queries import RepositoryView

PARTS = [b"granite" * 1000, b"slate" * 3000, b"marble" * 20_000]
OIDS = [sha256(part).hexdigest() for part in PARTS]


@pytest.fixture
def large(server: GitServer) -> LfsSource:
    """A repository ``big.git`` whose history names three large objects, the first no longer at its tip."""
    made = LfsSource(server)
    first, second, third = [made.add(part) for part in PARTS]
    git_repositories.fast_import(
        git_repositories.init(server.root / "big.git", bare=True),
        [("One", {"a.bin": first}), ("Two", {"a.bin": second, "b.bin": third})],
    )
    return made


async def objects_of(forge: Forge, repository: RepositoryView) -> dict[str, StoredObject]:
    """Return those of the three that the repository has."""
    async with forge.database.read() as session:
        return await find_objects(session, repository.id, OIDS)


async def test_every_object_that_history_names_comes_with_its_bytes(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lfs_objects, "OBJECTS_AT_ONCE", 2)
    made, row = await import_now(forge, ada, server.url("big.git"))
    assert (row.state, row.failure, row.lfs_done, row.lfs_total) == (ImportState.DONE, "", 3, 3)
    here = await objects_of(forge, made)
    kept = [await forge.engine.storage.get(here[oid].key, max_bytes=1 << 20) for oid in OIDS]
    assert kept == PARTS
    assert sorted(large.asked) == sorted(OIDS)


async def test_one_that_lies_and_one_that_is_lost_are_named_and_alone_asked_for_again(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    large.objects[OIDS[0]] = PARTS[0][::-1]  # as long as it should be
    del large.objects[OIDS[1]]
    made, row = await import_now(forge, ada, server.url("big.git"))
    assert (row.state, row.failure_kind, row.lfs_done) == (ImportState.FAILED, FailureKind.LFS_MISSING, 1)
    assert "2 objects of Git LFS are missing" in row.failure
    assert list(await refs_of(forge, made)) == ["refs/heads/main"]
    assert list(await objects_of(forge, made)) == [OIDS[2]]

    for part in PARTS[:2]:
        large.add(part)
    large.asked.clear()
    large.fetched.clear()
    async with forge.database.write() as session:
        await retry_import(session, forge.engine.settings, ada.actor, made.id, Credentials())
    await do_what_is_due(forge.engine)
    row = await import_of(forge, made)
    assert (row.state, row.lfs_done, row.lfs_total) == (ImportState.DONE, 3, 3)
    assert sorted(large.asked) == sorted(large.fetched) == sorted(OIDS[:2])
    assert set(await objects_of(forge, made)) == set(OIDS)


async def test_an_object_in_a_private_network_is_not_fetched(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    """Attack: the answer of a server on the internet leads to a machine inside."""
    large.elsewhere[OIDS[0]] = "http://169.254.169.254/latest"
    made, row = await import_now(forge, ada, server.url("big.git"))
    assert row.failure_kind is FailureKind.LFS_MISSING
    assert OIDS[0] in row.failure
    assert "169.254.169.254" in row.failure
    assert set(await objects_of(forge, made)) == set(OIDS[1:])


async def test_a_source_without_large_objects_says_so_and_code_is_here(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    server.answer = None
    made, row = await import_now(forge, ada, server.url("big.git"))
    assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.LFS_MISSING)
    assert "no Git LFS" in row.failure
    assert list(await refs_of(forge, made)) == ["refs/heads/main"]


async def test_nobody_asks_for_objects_where_they_are_not_wanted(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    _, row = await import_now(forge, ada, server.url("big.git"), with_lfs=False)
    assert (row.state, large.asked) == (ImportState.DONE, [])


async def test_a_source_behind_ssh_says_where_its_large_objects_are(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    async with serve_git_ssh(server.root) as shell:
        await give_key(forge, ada, shell)
        shell.instead = large.answer_over_ssh
        made, row = await import_now(forge, ada, shell.url("big.git"))
    assert (row.state, row.failure, row.lfs_done, row.lfs_total) == (ImportState.DONE, "", 3, 3)
    assert set(await objects_of(forge, made)) == set(OIDS)
    batches = [one for one in server.requests if one.path.endswith("/objects/batch")]
    assert {one.headers["x-pass"] for one in batches} == {"for-an-hour"}
    assert f"git-lfs-authenticate '{server.root}/big.git' download" in shell.commands


async def test_a_source_behind_ssh_without_large_objects_is_said(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    async with serve_git_ssh(server.root) as shell:

        async def answer(process: Process) -> None:
            if str(process.command).startswith("git-lfs"):
                process.stderr.write(b"git-lfs-authenticate: command not found")
                process.exit(127)
            else:
                await run_git(process, str(process.command))

        await give_key(forge, ada, shell)
        shell.instead = answer
        _, row = await import_now(forge, ada, shell.url("big.git"))
    assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.LFS_MISSING)
    assert "there is no Git LFS" in row.failure
