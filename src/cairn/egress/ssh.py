"""SSH through the door: to an address that was checked, at a host whose key stays the same, for one repository.

Nothing of this machine takes part: no configuration, agent, key file or list of hosts. The host's key is kept at first
use and compared from then on (``KnownHosts``); the login is one key, given by whoever connects.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

import asyncssh
import msgspec

from cairn import __version__
from cairn.base.errors import Invalid
from cairn.base.settings import KIB, MIB
from cairn.egress.door import Door, Target
from cairn.egress.http import ConnectionFailed
from cairn.egress.ssh_address import SshAddress

CONNECT_SECONDS = 30.0
"""From the first packet to the login, with every address that is tried."""
ADDRESS_SECONDS = 10.0
ASK_SECONDS = 60.0
ANSWER_BYTES_MAX = 64 * KIB

_HOST_KEYS = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_PACKET_BYTES = 32 * KIB
_WINDOW_BYTES = 2 * MIB


class HostKeyChanged(Invalid):
    """The server shows another key than it did; the message has both fingerprints and what to do."""


class LoginRefused(Invalid):
    """The server does not let the key in, or not to this repository; the message has its fingerprint and what to do."""


class KnownHosts(Protocol):
    """Which key each host showed at first. Keys are lines: algorithm and base64."""

    async def find(self, host: str, port: int) -> str | None:
        """Return the key that was kept; None before the first time."""

    async def keep(self, host: str, port: int, key: str) -> str:
        """The key is kept unless there is one; returns the one that is kept."""


@dataclass(frozen=True, slots=True)
class SshLogin:
    """Who connects: a private key, and what that one knows of hosts."""

    key: asyncssh.SSHKey = field(repr=False)
    known: KnownHosts


class LfsPlace(msgspec.Struct):
    """Where a repository's Git LFS is and what to send with each request. Source: git-lfs, server-discovery.md."""

    href: str
    header: dict[str, str] = {}


class SshRepository:
    """One repository on another server. Keeps a connection while it lives, makes another one after that."""

    def __init__(self, door: Door, address: SshAddress, login: SshLogin) -> None:
        self.address = address
        self.failure: Exception | None = None
        """Why the last session ended before its time, if it did: git only knows that it did."""
        self._door = door
        self._login = login
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()

    async def connect(self) -> asyncssh.SSHClientConnection:
        """Return a connection that is logged in.

        Errors: AddressRefused, HostUnknown, ConnectionFailed; HostKeyChanged, LoginRefused.
        """
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connect()
            return self._connection

    async def start(self, service: str) -> asyncssh.SSHClientProcess[bytes]:
        """Return the running git service of the repository. Errors: as ``connect``."""
        assert service in {"git-upload-pack", "git-receive-pack"}, "nothing else runs there"
        return await self._run(f"{service} {_quoted(self.address.path)}")

    async def find_lfs(self, operation: Literal["download", "upload"]) -> LfsPlace | None:
        """Return where the large objects are; None if the server does not know. Errors: as ``connect``."""
        process = await self._run(f"git-lfs-authenticate {_quoted(self.address.path)} {operation}")
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found = await _read_some(process.stdout)
                # A server without Git LFS says so in its own words, and ends with an error.
                await process.wait_closed()
            return msgspec.json.decode(found, type=LfsPlace) if process.exit_status == 0 else None
        except TimeoutError:
            raise ConnectionFailed(f"{self.place} was silent for {ASK_SECONDS:g} s.") from None
        except (msgspec.DecodeError, asyncssh.Error):
            return None
        finally:
            process.close()

    @property
    def place(self) -> str:
        """Host and port, for people."""
        return f"{self.address.host}:{self.address.port}"

    @property
    def refusal(self) -> LoginRefused:
        """What to tell people if the key may not do this."""
        key = self._login.key.get_fingerprint()
        return LoginRefused(
            f"{self.place} does not let the key {key} in as {self.address.user}, or not to this repository. "
            "Add it there as a deploy key, or to the keys of an account that may; to push it wants the right to write."
        )

    async def close(self) -> None:
        """Nothing of the connection is left."""
        if self._connection is not None:
            self._connection.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(ADDRESS_SECONDS):
                    await self._connection.wait_closed()

    async def _run(self, command: str) -> asyncssh.SSHClientProcess[bytes]:
        connection = await self.connect()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await connection.create_process(
                    command,
                    encoding=None,
                    env={"GIT_PROTOCOL": "version=2"},
                    request_pty=False,
                    window=_WINDOW_BYTES,
                    max_pktsize=_PACKET_BYTES,
                )
        except TimeoutError:
            raise ConnectionFailed(f"{self.place} was silent for {ASK_SECONDS:g} s.") from None
        except (asyncssh.Error, OSError) as error:
            raise ConnectionFailed(f"{self.place} closed the session for {command.partition(' ')[0]}.") from error

    async def _connect(self) -> asyncssh.SSHClientConnection:
        host, port = self.address.host, self.address.port
        target = await self._door.open_host(host, port)
        kept = await self._login.known.find(host, port)
        client = _Client(kept)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._log_in(target, client)
        except TimeoutError:
            raise ConnectionFailed(f"{self.place} did not let us in within {CONNECT_SECONDS:g} s.") from None
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._changed(kept, client.seen) from error
        except asyncssh.PermissionDenied as error:
            # By then the server has proved that the key is its own.
            await self._keep(client.seen)
            raise self.refusal from error
        except (asyncssh.Error, OSError, ValueError) as error:
            raise ConnectionFailed(f"{self.place} broke off the connection or does not speak SSH.") from error
        try:
            await self._keep(client.seen)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _log_in(self, target: Target, client: "_Client") -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            target.host,
            target.port,
            sock=await _reach(target),
            client_factory=lambda: client,
            config=None,
            options=asyncssh.SSHClientConnectionOptions(
                username=self.address.user,
                client_keys=[self._login.key],
                known_hosts=lambda host, address, port: ([], [], []),
                server_host_key_algs=_order(client.kept),
                preferred_auth="publickey",
                password_auth=False,
                kbdint_auth=False,
                host_based_auth=False,
                gss_host=None,
                gss_kex=False,
                gss_auth=False,
                agent_path=None,
                agent_forwarding=False,
                x509_trusted_certs=None,
                disable_trivial_auth=True,
                compression_algs=None,
                client_version=f"cairn_{__version__}",
                keepalive_interval=30,
                keepalive_count_max=4,
                config=None,
            ),
        )

    async def _keep(self, seen: asyncssh.SSHKey | None) -> None:
        """The key is the host's from now on. Errors: HostKeyChanged if another one became that meanwhile."""
        assert seen is not None, "a connection without a host key is none"
        kept = await self._login.known.keep(self.address.host, self.address.port, line_of(seen))
        if kept != line_of(seen):
            raise self._changed(kept, seen)

    def _changed(self, kept: str | None, seen: asyncssh.SSHKey | None) -> HostKeyChanged:
        before = fingerprint_of(kept) if kept else "none"
        now = seen.get_fingerprint() if seen is not None else "a certificate or a key of another kind"
        return HostKeyChanged(
            f"{self.place} shows another host key: {now}, and it was {before}. Somebody may stand between, so nothing "
            "was sent. Ask its operators; if they changed it, forget the old one in Settings > Keys, and try again."
        )


@asynccontextmanager
async def open_repository(door: Door, address: SshAddress, login: SshLogin) -> AsyncIterator[SshRepository]:
    """Yield a repository that is connected; nothing of it is left behind. Errors: as ``SshRepository.connect``."""
    repository = SshRepository(door, address, login)
    try:
        await repository.connect()
        yield repository
    finally:
        await repository.close()


def line_of(key: asyncssh.SSHKey) -> str:
    """Return algorithm and base64 of a public key."""
    return " ".join(key.export_public_key().decode("ascii").split()[:2])


def fingerprint_of(line: str) -> str:
    """Return ``SHA256:…`` of such a line."""
    return asyncssh.import_public_key(line).get_fingerprint()


class _Client(asyncssh.SSHClient):
    """Compares the host's key with the one that was kept, and takes any the first time."""

    def __init__(self, kept: str | None) -> None:
        self.kept = kept
        self.seen: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Tell whether this is the host."""
        self.seen = key
        # Also within one connection, whose keys are exchanged anew after a while.
        self.kept = self.kept or line_of(key)
        return line_of(key) == self.kept


def _order(kept: str | None) -> list[str]:
    """Return the kinds of host keys, that of the kept one first: a host has several and shows what is asked for."""
    own = kept.split()[0] if kept else ""
    first = _RSA if own == "ssh-rsa" else (own,)
    return sorted(_HOST_KEYS, key=lambda kind: kind not in first)


def _quoted(word: str) -> str:
    """Return a word as git quotes it: always, since some servers take nothing else."""
    return "'" + word.replace("'", "'\\''").replace("!", "'\\!'") + "'"


async def _reach(target: Target) -> socket.socket:
    """Return a socket connected to the first of the checked addresses that answers. Errors: ConnectionFailed."""
    for address in target.addresses:
        connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            async with asyncio.timeout(ADDRESS_SECONDS):
                await asyncio.get_running_loop().sock_connect(connection, (str(address), target.port))
        except (OSError, TimeoutError):
            connection.close()
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise ConnectionFailed(f"{target.host}:{target.port} could not be reached: nobody takes the connection.")


async def _read_some(stream: asyncssh.SSHReader[bytes]) -> bytes:
    found = b""
    while len(found) <= ANSWER_BYTES_MAX and (data := await stream.read(ANSWER_BYTES_MAX)):
        found += data
    return found
