"""Imports over SSH by a worker: stock git behind a real SSH server, and what goes wrong before git is asked."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from sqlalchemy import select
from tests.factories.forge import Forge, Person
from tests.factories.git_repositories import StockRepository
from tests.factories.git_ssh import SshServer, give_key, serve_git_ssh
from tests.factories.importing import ask_for_import, import_now, open_reaching_forge, refs_of, wanted_refs

from cairn.audit.models import AuditEntry
from cairn.base.errors import Invalid
from cairn.identity.models import KnownHost
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.models import FailureKind, ImportState


@pytest.fixture
async def shell(source: StockRepository) -> AsyncIterator[SshServer]:
    async with serve_git_ssh(source.path.parent) as running:
        yield running


async def test_branches_and_tags_come_over_ssh(
    forge: Forge, ada: Person, shell: SshServer, source: StockRepository
) -> None:
    fingerprint = await give_key(forge, ada, shell)
    made, row = await import_now(forge, ada, shell.url())
    assert (row.state, row.failure, row.refs_left_out) == (ImportState.DONE, "", 1)
    assert await refs_of(forge, made) == wanted_refs(source)
    assert set(shell.logins) == {("git", fingerprint)}
    ours = [one for one in shell.commands if "lfs" not in one and "wiki" not in one]
    assert set(ours) == {f"git-upload-pack '{source.path}'"}
    assert "version=2" in shell.versions
    async with forge.database.read() as session:
        [known] = await session.scalars(select(KnownHost))
        actions = set(await session.scalars(select(AuditEntry.action)))
    assert (known.place, known.fingerprint) == (f"127.0.0.1:{shell.port}", shell.host_key.get_fingerprint())
    assert {"outgoing_key.make", "known_host.keep"} <= actions


async def test_a_key_that_is_not_known_there_is_named(forge: Forge, ada: Person, shell: SshServer) -> None:
    fingerprint = await give_key(forge, ada)
    _, row = await import_now(forge, ada, shell.url())
    assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.UNAUTHORIZED)
    assert fingerprint in row.failure
    assert "deploy key" in row.failure
    assert shell.commands == []


async def test_without_a_key_nobody_is_asked(forge: Forge, ada: Person, shell: SshServer) -> None:
    _, row = await import_now(forge, ada, shell.url())
    assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.UNAUTHORIZED)
    assert "make one in Settings > Keys" in row.failure
    assert shell.logins == []


async def test_another_host_key_stops_the_import_and_both_are_named(
    forge: Forge, ada: Person, source: StockRepository
) -> None:
    """Attack: somebody takes the place of a server that is known."""
    async with serve_git_ssh(source.path.parent) as first:
        await give_key(forge, ada, first)
        await import_now(forge, ada, first.url())
    other = asyncssh.generate_private_key("ssh-ed25519")
    async with serve_git_ssh(source.path.parent, host_key=other, port=first.port) as second:
        second.accepted = first.accepted
        _, row = await import_now(forge, ada, second.url(), "again")
        assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.HOST_KEY)
        assert first.host_key.get_fingerprint() in row.failure
        assert other.get_fingerprint() in row.failure
        assert "forget the old one" in row.failure
        assert second.logins == []


async def test_a_private_address_is_refused_without_a_connection(
    tmp_path: Path, sqlite_template: Path, shell: SshServer
) -> None:
    async with open_reaching_forge(tmp_path / "closed", sqlite_template, egress_allow=()) as closed:
        ada = await closed.person("ada")
        await give_key(closed, ada, shell)
        _, row = await import_now(closed, ada, shell.url())
        assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.ADDRESS_REFUSED)
        assert "CAIRN_EGRESS_ALLOW" in row.failure
        assert shell.logins == []


async def test_what_is_no_repository_is_named(forge: Forge, ada: Person, shell: SshServer) -> None:
    await give_key(forge, ada, shell)
    _, row = await import_now(forge, ada, shell.url("nothing.git"))
    assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.NOT_FOUND)


async def test_a_password_for_ssh_is_refused_rather_than_ignored(forge: Forge, ada: Person) -> None:
    with pytest.raises(Invalid, match="no user and password"):
        await ask_for_import(forge, ada, "git@git.example:a/b", credentials=Credentials("ada", "s3cret"))
