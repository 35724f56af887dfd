"""An SSH server in front of stock git: logs in whom the test names, and can be told to misbehave."""

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from tests.factories.forge import Forge, Person

from cairn.base.processes import end_process, start_process
from cairn.identity.outgoing_keys import make_outgoing_key

Process = asyncssh.SSHServerProcess[bytes]


@dataclass
class SshServer:
    """A running server, what it was asked, and what it answers instead of git."""

    folder: Path
    host_key: asyncssh.SSHKey
    port: int = 0
    accepted: set[str] = field(default_factory=set)
    """Fingerprints of the keys that are let in."""
    logins: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    """What GIT_PROTOCOL said."""
    instead: Callable[[Process], Awaitable[None]] | None = None

    def url(self, name: str = "r.git", *, user: str = "git") -> str:
        """Return the address of a repository below the folder."""
        return f"ssh://{user}@127.0.0.1:{self.port}{self.folder}/{name}"


class _Gate(asyncssh.SSHServer):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._server.logins.append((username, key.get_fingerprint()))
        return key.get_fingerprint() in self._server.accepted


@asynccontextmanager
async def serve_git_ssh(
    folder: Path, *, host_key: asyncssh.SSHKey | None = None, port: int = 0
) -> AsyncIterator[SshServer]:
    """Yield a server for the repositories below a folder."""
    server = SshServer(folder, host_key or asyncssh.generate_private_key("ssh-ed25519"))

    async def handle(process: Process) -> None:
        command = process.command or ""
        server.commands.append(command)
        server.versions.append(str(process.env.get("GIT_PROTOCOL", "")))
        if server.instead is not None:
            await server.instead(process)
        else:
            await run_git(process, command)

    listening = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=lambda: _Gate(server),
        server_host_keys=[server.host_key],
        process_factory=handle,
        encoding=None,
        config=None,
    )
    server.port = listening.get_port()
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


async def run_git(process: Process, command: str) -> None:
    """Let stock git answer, as a login shell does."""
    name, path = shlex.split(command)
    assert name in {"git-upload-pack", "git-receive-pack"}, command
    protocol = {"GIT_PROTOCOL": str(process.env["GIT_PROTOCOL"])} if "GIT_PROTOCOL" in process.env else {}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", **protocol}
    child = await start_process(
        "git",
        name.removeprefix("git-"),
        path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    feeding = asyncio.create_task(_feed(process, child.stdin))
    try:
        await asyncio.gather(_drain(child.stdout, process.stdout), _drain(child.stderr, process.stderr))
        process.exit(await child.wait())
    finally:
        feeding.cancel()
        await end_process(child)


async def _feed(process: Process, target: asyncio.StreamWriter) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        while data := await process.stdin.read(1 << 18):
            target.write(data)
            await target.drain()
        target.close()


async def _drain(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    with suppress(asyncssh.Error, BrokenPipeError, ConnectionResetError):
        while data := await source.read(1 << 18):
            target.write(data)
            await target.drain()


async def give_key(forge: Forge, person: Person, server: SshServer | None = None) -> str:
    """Return the fingerprint of a person's new key for other servers, which the server lets in."""
    assert person.actor.account_id is not None
    async with forge.database.write() as session:
        made = await make_outgoing_key(session, forge.engine.settings, person.actor, person.actor.account_id)
    if server is not None:
        server.accepted.add(made.fingerprint)
    return made.fingerprint
