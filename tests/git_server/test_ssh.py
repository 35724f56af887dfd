"""The SSH door against clients that are no git: nobody without a signature, nothing but git, not for long."""

import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
from tests.factories.git_repositories import StockRepository
from tests.git_compat.programs import LOGIN, Installation

from cairn.git.pktline import encode


@asynccontextmanager
async def connected(
    running: Installation, *, keys: list[object] | None = None, user: str = "git"
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    host, _, port = running.settings.ssh_address.rpartition(":")
    async with asyncssh.connect(
        host, int(port), username=user, client_keys=keys or [str(running.key)], known_hosts=None, config=None,
        agent_path=None, password=None,
    ) as connection:  # fmt: skip
        yield connection


async def run(
    running: Installation, command: str | None, *, stdin: bytes = b"", env: dict[str, str] | None = None
) -> tuple[int, bytes, bytes]:
    async with connected(running) as connection:
        done = await connection.run(command, input=stdin, encoding=None, env=env or {})
        assert isinstance(done.stdout, bytes)
        assert isinstance(done.stderr, bytes)
        return done.exit_status or 0, done.stdout, done.stderr


async def test_a_login_without_command_is_greeted_by_name(embedded: Installation) -> None:
    code, out, error = await run(embedded, None)
    assert code == 1
    assert out == b""
    assert error == b"Hi ada! You've successfully authenticated, but Cairn does not provide shell access.\n"


@pytest.mark.parametrize("command", ["sh", "id", "git-upload-pack 'x'; id", "scp -t .", "git-shell"])
async def test_nothing_but_git_runs(embedded: Installation, command: str) -> None:
    """Attack: a command of the client's own."""
    code, out, error = await run(embedded, command)
    assert (code, out) == (1, b"")
    assert error.startswith(b"Cairn ")


@pytest.mark.parametrize("path", ["../../etc", "/ada/../ada/x", "ada", "", "ada/" + "x" * 500, "ada/x/y"])
async def test_a_path_that_is_no_name_is_just_unknown(embedded: Installation, path: str) -> None:
    """Attack: reach a folder of the machine by the path of a repository."""
    code, out, _ = await run(embedded, f"git-upload-pack '{path}'")
    assert code == 1
    assert out[4:8] == b"ERR "
    assert b"not found" in out
    assert (b"OWNER/NAME.git" in out) == (path in ("ada", ""))


async def test_no_terminal_no_subsystem_no_forwarding(embedded: Installation) -> None:
    async with connected(embedded) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", 80)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.start_sftp_client()
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process(None, term_type="xterm")


async def test_only_the_protocol_version_is_taken_from_the_environment(embedded: Installation) -> None:
    """Attack: settings for git by environment variables."""
    name = embedded.create(f"s-{secrets.token_hex(5)}").name
    env = {
        "GIT_PROTOCOL": "version=2",
        "GIT_TRACE": "1",
        "GIT_CONFIG_PARAMETERS": "'core.sshCommand=id'",
        "LD_PRELOAD": "x",
    }
    code, out, error = await run(embedded, f"git-upload-pack '{LOGIN}/{name}'", stdin=b"0000", env=env)
    assert (code, error) == (0, b"")
    assert out.startswith(b"000eversion 2\n")
    code, out, error = await run(embedded, f"git-upload-pack '{LOGIN}/{name}'", stdin=b"0000",
                                 env=env | {"GIT_PROTOCOL": "version=2;id"})  # fmt: skip
    assert b"version 2" not in out


async def test_a_key_nobody_registered_and_another_login_are_refused(embedded: Installation) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        async with connected(embedded, keys=[asyncssh.generate_private_key("ssh-ed25519")]):
            pass
    with pytest.raises(asyncssh.PermissionDenied):
        async with connected(embedded, user="root"):
            pass


async def test_a_known_public_key_without_its_private_key_opens_nothing(embedded: Installation) -> None:
    """Attack (A12): show somebody's public key, which is no secret, and sign with one's own."""
    public = asyncssh.read_public_key(str(embedded.key.with_suffix(".pub")))
    mine = asyncssh.generate_private_key("ssh-ed25519")

    class Impostor(asyncssh.SSHKeyPair):
        def __init__(self) -> None:
            super().__init__(
                public.get_algorithm().encode(), public.get_algorithm().encode(), public.sig_algorithms,
                public.sig_algorithms, public.public_data, b"impostor",
            )  # fmt: skip

        async def sign_async(self, data: bytes) -> bytes:
            return mine.sign(data, b"ssh-ed25519")

        def sign(self, data: bytes) -> bytes:
            return mine.sign(data, b"ssh-ed25519")

    with pytest.raises(asyncssh.PermissionDenied):
        async with connected(embedded, keys=[Impostor()]):
            pass


async def test_who_signs_counts_not_who_was_shown_first(embedded: Installation) -> None:
    """Attack: show a known key first, then sign with an unknown one; and the harmless reverse order works."""
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    async with connected(embedded, keys=[stranger, str(embedded.key)]) as connection:
        done = await connection.run(None, encoding=None)
        assert b"Hi ada!" in (done.stderr or b"")


async def test_trying_many_keys_first_is_no_failure(embedded: Installation) -> None:
    keys: list[object] = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(10)]
    for _ in range(3):
        async with connected(embedded, keys=[*keys, str(embedded.key)]):
            pass


def test_a_silent_client_is_cut_after_the_login_time(tmp_path: Path, embedded: Installation) -> None:
    host, _, port = embedded.settings.ssh_address.rpartition(":")
    started = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=60) as silent:
        silent.sendall(b"SSH-2.0-slow\r\n")
        while silent.recv(65536):
            pass
    assert time.monotonic() - started < embedded.settings.ssh_login_seconds + 10


async def test_a_conversation_that_is_no_git_ends_with_a_word(embedded: Installation) -> None:
    name = embedded.create(f"s-{secrets.token_hex(5)}").name
    code, out, _ = await run(
        embedded, f"git-upload-pack '{LOGIN}/{name}'", stdin=b"zzzz", env={"GIT_PROTOCOL": "version=2"}
    )
    assert code == 1
    assert b"ERR a packet cannot start with 'zzzz'" in out
    code, out, _ = await run(embedded, f"git-receive-pack '{LOGIN}/{name}'", stdin=encode(b"push-cert x") + b"0000")
    assert b"\x03signed pushes are not offered" in out


def test_a_closed_channel_ends_its_session_and_the_next_one_works(embedded: Installation, tmp_path: Path) -> None:
    environment = embedded.git_environment(tmp_path / "home")
    control = tmp_path / "control"
    shared = environment["GIT_SSH_COMMAND"] + f" -o ControlMaster=auto -o ControlPersist=20 -o ControlPath={control}"
    here = StockRepository(tmp_path, {**environment, "GIT_SSH_COMMAND": shared})
    name = embedded.create(f"s-{secrets.token_hex(5)}").name
    try:
        for _ in range(12):
            here.git("ls-remote", embedded.ssh_url(name))
    finally:
        subprocess.run(["ssh", "-F", "none", "-o", f"ControlPath={control}", "-O", "exit", "x"], check=False,
                       capture_output=True)  # fmt: skip
