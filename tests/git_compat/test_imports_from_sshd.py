"""Imports and mirrors from and to a plain OpenSSH server, with a login shell and stock git behind it."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.git_ssh import give_key
from tests.factories.importing import import_now, make_source, open_reaching_forge, refs_of, wanted_refs
from tests.factories.mirroring import empty_target, mirror_now, settle, sync_again
from tests.services.ports import accepts_connections, free_port
from tests.services.processes import ServerProcess, find_program

from cairn.identity.models import OutgoingKey
from cairn.repositories.imports.models import FailureKind, ImportState


@dataclass(frozen=True)
class Sshd:
    """A private sshd; whoever stands in ``keys`` logs in."""

    port: int
    keys: Path
    fingerprint: str

    def url(self, path: Path) -> str:
        return f"ssh://{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1:{self.port}{path}"


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    program, keygen = find_program("sshd"), find_program("ssh-keygen")
    folder, port = tmp_path / "sshd", free_port()
    folder.mkdir()
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True, timeout=30)
    told = subprocess.run([keygen, "-l", "-f", folder / "host_key.pub"], check=True, timeout=30, capture_output=True)
    keys = folder / "authorized_keys"
    keys.write_text("")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile {folder}/sshd.pid\n"
        "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"AuthorizedKeysFile {keys}\nAcceptEnv GIT_PROTOCOL\nStrictModes no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    process = ServerProcess(
        [str(program), "-D", "-e", "-f", str(folder / "sshd_config")],
        log=folder / "sshd.log",
        is_ready=lambda: accepts_connections(port),
    )
    try:
        process.start()
        yield Sshd(port, keys, told.stdout.decode().split()[1])
    finally:
        process.stop()


async def test_a_repository_comes_is_followed_and_follows_by_openssh(
    tmp_path: Path, sqlite_template: Path, sshd: Sshd
) -> None:
    (tmp_path / "served").mkdir()
    source = make_source(tmp_path / "served", "it's.git")
    target = empty_target(tmp_path / "served")
    async with open_reaching_forge(tmp_path / "forge", sqlite_template) as forge:
        ada = await forge.person("ada")
        await give_key(forge, ada)
        _, refused = await import_now(forge, ada, sshd.url(tmp_path / "served" / "it%27s.git"), "refused")
        assert (refused.state, refused.failure_kind) == (ImportState.FAILED, FailureKind.UNAUTHORIZED)
        async with forge.database.read() as session:
            sshd.keys.write_text(str(await session.scalar(select(OutgoingKey.public_key))))
        made, row = await import_now(forge, ada, sshd.url(tmp_path / "served" / "it%27s.git"))
        assert (row.state, row.failure) == (ImportState.DONE, "")
        assert await refs_of(forge, made) == wanted_refs(source)
        pull = await mirror_now(forge, ada, made, row.url, is_pull=True)
        push = await mirror_now(forge, ada, made, sshd.url(target.path), is_pull=False)
        assert (pull.failure, push.failure) == ("", "")
        assert wanted_refs(target) == wanted_refs(source)
        source.git("update-ref", "-d", "refs/heads/topic-0")
        source.git("update-ref", "refs/heads/new", source.oid("refs/heads/trunk"))
        assert (await sync_again(forge, pull)).moved_count == 2
        await settle(forge)
        assert wanted_refs(target) == wanted_refs(source)
        told = (await forge.api(ada).get("/repos/ada/engine/mirror")).json()
        assert told["ssh"]["host_key"] == sshd.fingerprint
        _, lost = await import_now(forge, ada, sshd.url(tmp_path / "served" / "nothing.git"), "lost")
        assert (lost.state, lost.failure_kind) == (ImportState.FAILED, FailureKind.NOT_FOUND)
