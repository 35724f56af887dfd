"""Git's way through: its own streams and nothing else, one repository, no secret where others see it, no silence."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest
from tests.egress.test_ssh import HERE, Hosts, address
from tests.factories.children import children
from tests.factories.git_repositories import StockRepository
from tests.factories.git_ssh import Process, SshServer, serve_git_ssh
from tests.factories.importing import make_source, wanted_refs

from cairn.egress import ssh_bridge
from cairn.egress.http import ConnectionFailed
from cairn.egress.ssh import SshLogin, SshRepository, open_repository
from cairn.egress.ssh_bridge import listen_for_git


@pytest.fixture
def source(tmp_path: Path) -> StockRepository:
    return make_source(tmp_path)


@pytest.fixture
async def server(source: StockRepository) -> AsyncIterator[SshServer]:
    async with serve_git_ssh(source.path.parent) as running:
        yield running


@pytest.fixture
async def there(server: SshServer, source: StockRepository) -> AsyncIterator[SshRepository]:
    login = SshLogin(asyncssh.generate_private_key("ssh-ed25519"), Hosts())
    server.accepted.add(login.key.get_fingerprint())
    async with open_repository(HERE, address(server.port, str(source.path)), login) as opened:
        yield opened


async def git(command: str, *arguments: str, folder: Path, name: str = "anywhere/else.git") -> tuple[int, bytes, bytes]:
    child = await asyncio.create_subprocess_exec(
        *("git", "-c", f"core.sshCommand={command}", "-c", "ssh.variant=ssh", arguments[0], f"ssh://host/{name}"),
        *arguments[1:],
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    out, error = await asyncio.wait_for(child.communicate(), 60)
    return child.returncode or 0, out, error


async def test_git_reaches_the_repository_it_was_opened_for_whatever_it_asks(
    there: SshRepository, server: SshServer, source: StockRepository, tmp_path: Path
) -> None:
    async with listen_for_git(there) as command:
        code, out, error = await git(command, "ls-remote", folder=tmp_path)
        assert (code, error) == (0, b"")
        assert source.oid("refs/heads/trunk").encode() in out
        code, _, error = await git(command, "clone", "--bare", "copy.git", folder=tmp_path)
        assert code == 0, error
    copied = StockRepository(tmp_path / "copy.git")
    assert wanted_refs(copied) == wanted_refs(source)
    assert set(server.commands) == {f"git-upload-pack '{source.path}'"}
    socket = re.findall(r"\S+$", command)[0]
    assert not Path(socket).exists()


async def test_nothing_but_git_runs_there(there: SshRepository, server: SshServer) -> None:
    async with listen_for_git(there) as command:
        child = await asyncio.create_subprocess_shell(
            f"{command} host 'rm -rf /'",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, error = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 255
    assert b"no service of git" in error
    assert server.commands == []


async def test_a_service_that_falls_silent_is_given_up(
    there: SshRepository, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ssh_bridge.SILENCE_SECONDS, "git-upload-pack", 0.2)

    async def stall(process: Process) -> None:
        process.stdout.write(b"0011")
        await process.stdin.read()

    server.instead = stall
    async with listen_for_git(there) as command:
        code, _, error = await git(command, "ls-remote", folder=tmp_path)
    assert code != 0
    assert b"was silent for 0.2 s" in error
    assert isinstance(there.failure, ConnectionFailed)


async def test_a_service_that_trickles_is_given_up(
    there: SshRepository, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a byte now and then holds a worker for hours."""
    monkeypatch.setitem(ssh_bridge.SILENCE_SECONDS, "git-upload-pack", 0.5)

    async def trickle(process: Process) -> None:
        while not process.is_closing():
            process.stderr.write(b".")
            await asyncio.sleep(0.05)

    server.instead = trickle
    async with listen_for_git(there) as command:
        code, _, error = await git(command, "ls-remote", folder=tmp_path)
    assert code != 0
    assert b"was silent for 0.5 s" in error


async def test_what_the_server_says_beside_is_passed_on_and_bounded(
    there: SshRepository, server: SshServer, tmp_path: Path
) -> None:
    async def complain(process: Process) -> None:
        process.stderr.write(b"ERROR: no " + b"x" * 1_000_000)
        process.exit(1)

    server.instead = complain
    async with listen_for_git(there) as command:
        code, _, error = await git(command, "ls-remote", folder=tmp_path)
    assert code != 0
    assert error.startswith(b"ERROR: no ")
    assert len(error) < 2 * ssh_bridge.SAID_BYTES_MAX


async def test_a_lost_connection_is_made_anew(there: SshRepository, server: SshServer, tmp_path: Path) -> None:
    async def drop(process: Process) -> None:
        process.channel.get_connection().abort()

    async with listen_for_git(there) as command:
        server.instead = drop
        code, _, _ = await git(command, "ls-remote", folder=tmp_path)
        assert code != 0
        server.instead = None
        code, out, error = await git(command, "ls-remote", folder=tmp_path)
        assert (code, error) == (0, b"")
        assert b"refs/heads/trunk" in out
        assert there.failure is None


async def test_what_runs_ends_with_the_block_and_knows_neither_key_nor_place(
    there: SshRepository, server: SshServer, source: StockRepository, tmp_path: Path
) -> None:
    began = asyncio.Event()

    async def stall(process: Process) -> None:
        began.set()
        await process.stdin.read()

    server.instead = stall
    async with listen_for_git(there) as command:
        running = asyncio.create_task(git(command, "ls-remote", folder=tmp_path))
        await asyncio.wait_for(began.wait(), 60)
        seen = _arguments_and_environments()
        assert any(b"ssh_pipe.py" in one for one in seen)
        assert not [one for one in seen if b"PRIVATE KEY" in one or str(source.path).encode() in one]
    code, _, _ = await running
    assert code != 0


def _arguments_and_environments() -> list[bytes]:
    """Return what others can read of the processes below this one."""
    found: list[bytes] = []
    pending = children()
    while pending:
        pid = pending.pop()
        with suppress(OSError):
            found += [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
            pending |= {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return found
