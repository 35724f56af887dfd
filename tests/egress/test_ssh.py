"""SSH to another server: which key is believed, where connections go, and how long anybody is waited for."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from tests.factories.git_ssh import Process, SshServer, serve_git_ssh

from cairn.egress import ssh
from cairn.egress.addresses import IPAddress, parse_allow_list
from cairn.egress.door import AddressRefused, Door
from cairn.egress.http import ConnectionFailed
from cairn.egress.ssh import HostKeyChanged, LfsPlace, LoginRefused, SshLogin, line_of, open_repository
from cairn.egress.ssh_address import SshAddress

HERE = Door(parse_allow_list(["127.0.0.0/8"]))


@dataclass
class Hosts:
    """What was kept, by host and port."""

    kept: dict[tuple[str, int], str] = field(default_factory=dict)

    async def find(self, host: str, port: int) -> str | None:
        return self.kept.get((host, port))

    async def keep(self, host: str, port: int, key: str) -> str:
        return self.kept.setdefault((host, port), key)


@pytest.fixture
def login() -> SshLogin:
    return SshLogin(asyncssh.generate_private_key("ssh-ed25519"), Hosts())


@pytest.fixture
async def server(tmp_path: Path, login: SshLogin) -> AsyncIterator[SshServer]:
    async with serve_git_ssh(tmp_path) as running:
        running.accepted.add(login.key.get_fingerprint())
        yield running


def address(port: int, path: str = "/r.git", host: str = "127.0.0.1") -> SshAddress:
    return SshAddress("git", host, port, path)


async def connect(door: Door, where: SshAddress, login: SshLogin) -> None:
    async with open_repository(door, where, login):
        pass


async def test_the_first_key_of_a_host_is_kept_and_another_is_refused(server: SshServer, login: SshLogin) -> None:
    await connect(HERE, address(server.port), login)
    hosts = login.known
    assert isinstance(hosts, Hosts)
    assert hosts.kept == {("127.0.0.1", server.port): line_of(server.host_key)}
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    hosts.kept[("127.0.0.1", server.port)] = line_of(other)
    before = len(server.logins)
    with pytest.raises(HostKeyChanged) as refused:
        await connect(HERE, address(server.port), login)
    assert server.host_key.get_fingerprint() in refused.value.message
    assert other.get_fingerprint() in refused.value.message
    assert len(server.logins) == before


async def test_a_host_of_several_keys_shows_the_one_that_was_kept(tmp_path: Path, login: SshLogin) -> None:
    keys = [asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256")]
    listening = await asyncssh.listen("127.0.0.1", 0, server_host_keys=keys, config=None)
    try:
        where = address(listening.get_port())
        hosts = login.known
        assert isinstance(hosts, Hosts)
        for key in keys:
            hosts.kept[(where.host, where.port)] = line_of(key)
            with pytest.raises(LoginRefused):
                await connect(HERE, where, login)
    finally:
        listening.close()
        await listening.wait_closed()


async def test_a_refused_login_names_the_key_and_keeps_the_host(tmp_path: Path, login: SshLogin) -> None:
    async with serve_git_ssh(tmp_path) as server:
        with pytest.raises(LoginRefused, match=r"SHA256:") as refused:
            await connect(HERE, address(server.port), login)
        assert login.key.get_fingerprint() in refused.value.message
        assert await login.known.find("127.0.0.1", server.port) == line_of(server.host_key)


async def test_a_private_address_is_refused_before_anything_is_sent(server: SshServer, login: SshLogin) -> None:
    with pytest.raises(AddressRefused, match="CAIRN_EGRESS_ALLOW"):
        await connect(Door(parse_allow_list([])), address(server.port), login)
    assert server.logins == []


async def test_the_address_that_was_checked_is_the_one_that_is_used(server: SshServer, login: SshLogin) -> None:
    """Attack: a name that is public when it is checked and this machine a moment later."""
    asked = 0

    async def resolve(host: str, port: int) -> list[IPAddress]:
        nonlocal asked
        asked += 1
        # A second question would be answered with a place that is refused.
        return [ipaddress.ip_address("127.0.0.1" if asked == 1 else "10.0.0.1")]

    door = Door(parse_allow_list(["127.0.0.0/8"]), resolve=resolve)
    async with open_repository(door, address(server.port, host="git.test"), login) as there:
        await there.connect()
        assert asked == 1
        await there.close()
        with pytest.raises(AddressRefused):
            await there.connect()


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve_raw(answer: Answer) -> AsyncIterator[int]:
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, login: SshLogin) -> None:
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with serve_raw(silent) as port:
        with pytest.raises(ConnectionFailed, match="within"):
            await connect(HERE, address(port), login)


@pytest.mark.parametrize("line", [b"x" * 100, b"x" * 9000, b"SSH-2.0-" + b"x" * 300])
async def test_an_endless_banner_is_cut_off(login: SshLogin, line: bytes) -> None:
    """Attack: a server fills our memory before it has said who it is."""
    ended = asyncio.Event()

    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write((line + b"\r\n") * 10)
                await writer.drain()
        except ConnectionError:
            ended.set()

    async with serve_raw(chatter) as port:
        with pytest.raises(ConnectionFailed):
            await connect(HERE, address(port), login)
        await asyncio.wait_for(ended.wait(), 60)


async def test_nobody_there_is_said(login: SshLogin) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serve_raw(close) as port:
        with pytest.raises(ConnectionFailed, match="does not speak SSH"):
            await connect(HERE, address(port), login)
    with pytest.raises(ConnectionFailed, match="could not be reached"):
        await connect(HERE, address(port), login)


async def test_the_server_says_where_large_objects_are(server: SshServer, login: SshLogin) -> None:
    async def lfs(process: Process) -> None:
        process.stdout.write(b'{"href": "https://lfs.test/r", "header": {"Authorization": "RemoteAuth x"}}')
        process.exit(0)

    server.instead = lfs
    async with open_repository(HERE, address(server.port, "/it's"), login) as there:
        found = await there.find_lfs("download")
    assert found == LfsPlace("https://lfs.test/r", {"Authorization": "RemoteAuth x"})
    assert server.commands == ["git-lfs-authenticate '/it'\\''s' download"]


@pytest.mark.parametrize(("said", "code"), [(b"no such command", 127), (b"<html>", 0), (b"x" * 100_000, 0)])
async def test_a_server_without_large_objects_is_no_error(
    server: SshServer, login: SshLogin, said: bytes, code: int
) -> None:
    async def lfs(process: Process) -> None:
        process.stdout.write(said)
        process.exit(code)

    server.instead = lfs
    async with open_repository(HERE, address(server.port), login) as there:
        assert await there.find_lfs("download") is None
