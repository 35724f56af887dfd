"""Git over SSH: keys from the database, git's commands and git-lfs's, nothing else.

asyncssh speaks the protocol and verifies signatures. A client may show one key and sign with another, so who it is
counts only once authentication is complete (``_Door.auth_completed``). There is no shell, terminal, file transfer or
forwarding, and a path is only a name to look up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

import asyncssh
import msgspec

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated, Unavailable
from cairn.base.ids import random_id
from cairn.base.log import bind_request, get_logger
from cairn.base.patience import patience
from cairn.base.settings import KIB, MIB, Settings
from cairn.git.engine import Engine
from cairn.git.pktline import ConversationEnded
from cairn.git.places import on_behalf_of
from cairn.git_server.observer import GitObserver, Result, unobserved
from cairn.git_server.pace import TRANSFER_SECONDS_MAX, Quiet
from cairn.git_server.requests import CommandUnknown, GitCommandLine, Verb, parse_command, requested_version
from cairn.git_server.ssh_conversation import Channel, Conversation, Resolve, tell
from cairn.git_server.ssh_limits import KEYS_PER_CONNECTION_MAX, ConnectionLimits
from cairn.git_server.upload_archive import serve_archive
from cairn.identity.authenticate import Authenticated, Authenticator
from cairn.identity.credentials import KeyCredential
from cairn.lfs.words import WORD_SECONDS, Operation, Word, Words
from cairn.repositories.accept_push import begin_push
from cairn.repositories.git_access import GitDoor, GitTarget
from cairn.repositories.lfs_access import refuse_wiki
from cairn.web.rate_limits import RateLimits, whose_share

LOGIN = "git"
KEEP_ALIVE_SECONDS = 30
WINDOW_BYTES = 4 * MIB
PACKET_BYTES = 64 * KIB
SESSIONS_PER_CONNECTION_MAX = 10
"""As sshd's MaxSessions: a client that shares its connection runs a few commands side by side."""

_NEW_SECONDS = 3.0
_FLUSH_SECONDS = 60.0
_ACTIONS = {
    Verb.FETCH: Action.REPOSITORY_READ,
    Verb.PUSH: Action.REPOSITORY_PUSH,
    Verb.ARCHIVE: Action.REPOSITORY_READ,
    Verb.LFS_DOWNLOAD: Action.REPOSITORY_READ,
    Verb.LFS_UPLOAD: Action.REPOSITORY_PUSH,
}
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SshClient:
    """Who a session belongs to: proved by the key of this fingerprint, from this address."""

    actor: Actor
    fingerprint: str
    address: str


@dataclass(slots=True, kw_only=True)
class SshDoor:
    """What all connections of one SSH program share."""

    settings: Settings
    engine: Engine
    door: GitDoor
    authenticator: Authenticator
    limits: ConnectionLimits
    rates: RateLimits
    words: Words
    observe: GitObserver = unobserved
    connections: "set[_Connection]" = field(default_factory=set)

    async def drain(self, seconds: float) -> int:
        """Return when no session runs any more, or after ``seconds``; close what is left and return how many that was.

        The listener must be closed before. A connection that only just came may still start its session.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(connection.is_busy for connection in self.connections):  # noqa: ASYNC110 (new ones age)
                    await asyncio.sleep(0.05)
        late = sum(1 for connection in self.connections if connection.sessions)
        for connection in list(self.connections):
            connection.close()
        return late


@asynccontextmanager
async def listen_ssh(
    door: SshDoor, host_keys: Sequence[asyncssh.SSHKey], *, host: str, port: int
) -> AsyncIterator[asyncssh.SSHAcceptor]:
    """Listen until the block ends; then nobody is let in any more and running sessions get ``drain_seconds``."""
    acceptor = await asyncssh.listen(
        host,
        port,
        server_factory=lambda: _Connection(door),
        process_factory=_serve,
        server_host_keys=list(host_keys),
        server_version="Cairn",
        encoding=None,
        login_timeout=door.settings.ssh_login_seconds,
        keepalive_interval=KEEP_ALIVE_SECONDS,
        allow_pty=False,
        agent_forwarding=False,
        x11_forwarding=False,
        line_editor=False,
        allow_scp=False,
        window=WINDOW_BYTES,
        max_pktsize=PACKET_BYTES,
        compression_algs=None,
        gss_host=None,
        reuse_address=True,
        backlog=512,
    )
    try:
        yield acceptor
    finally:
        acceptor.close()
        late = await door.drain(door.settings.drain_seconds)
        if late:
            _log.warning("ssh_sessions_cut", connections=late)


class _Connection(asyncssh.SSHServer):
    """One client's connection: who it is, and how much it may ask for."""

    def __init__(self, door: SshDoor) -> None:
        self.door = door
        self.address = ""
        self.actor: Actor | None = None
        self.fingerprint = ""
        self.sessions = 0
        self._candidate: tuple[Authenticated, str] | None = None
        self._connection: asyncssh.SSHServerConnection | None = None
        self._is_admitted = False
        self._attempts = 0
        self.made_at = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """True while a session runs, and while one may be about to start."""
        return self.sessions > 0 or time.monotonic() - self.made_at < _NEW_SECONDS

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()

    def abort(self) -> None:
        """Cut the connection with whatever it still holds."""
        if self._connection is not None:
            self._connection.abort()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Count the connection, or end it where there are too many."""
        peer = conn.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._connection = conn
        self._is_admitted = self.door.limits.admit(self.address) or (
            self._make_room() and self.door.limits.admit(self.address)
        )
        if not self._is_admitted:
            conn.abort()
            return
        conn.set_extra_info(cairn=self)
        self.door.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the connection off the count."""
        self.leave()
        if self._attempts and self.actor is None:
            self.door.limits.failed(self.address)

    def _make_room(self) -> bool:
        """End whoever has been at the door for the longest without signing in; False if all have signed in.

        First of this address. So connections that stall cannot shut out the others of an office, or everybody.
        """
        waiting = [one for one in self.door.connections if one.actor is None]
        for nearby in ([one for one in waiting if one.address == self.address], waiting):
            if nearby and (nearby is not waiting or self.door.limits.is_full):
                longest = min(nearby, key=lambda one: one.made_at)
                longest.leave()
                longest.abort()
                return True
        return False

    def leave(self) -> None:
        """Count the connection no longer, once."""
        self.door.connections.discard(self)
        if self._is_admitted:
            self._is_admitted = False
            self.door.limits.release(self.address)

    async def begin_auth(self, username: str) -> bool:
        """Nobody comes in without a key, nor at once where somebody fails all the time."""
        await asyncio.sleep(self.door.limits.delay_seconds(self.address))
        self._candidate = None
        self._attempts += 1
        if username != LOGIN and self._connection is not None:
            self._connection.send_auth_banner(
                f"Log in as {LOGIN}: ssh://{LOGIN}@... ({username[:60]!r} is no login.)\n"
            )
        return True

    def public_key_auth_supported(self) -> bool:
        """Keys are the only way."""
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Tell whether somebody has this key. The library then demands a signature, maybe by another key: see class."""
        self._candidate = None
        self._attempts += 1
        if username != LOGIN or not self._is_admitted:
            return False
        if self._attempts > KEYS_PER_CONNECTION_MAX:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Too many keys were offered; name one with ssh -i."
            )
        fingerprint = key.get_fingerprint()
        try:
            found = await self.door.authenticator.find_key(fingerprint)
        except (Unauthenticated, Forbidden):
            return False
        except Unavailable as error:
            raise asyncssh.DisconnectError(asyncssh.DISC_BY_APPLICATION, error.message) from error
        self._candidate = (found, fingerprint)
        return True

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """No certificate says who somebody is here."""
        self._candidate = None
        return False

    def auth_completed(self) -> None:
        """The signature was made with the key that was looked up last: now the client is somebody."""
        assert self._candidate is not None, "only a known key can complete authentication"
        found, self.fingerprint = self._candidate
        self.actor = found.actor
        self.door.authenticator.note_key(found, address=self.address)


async def _serve(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Run one session and end it with git's idea of an exit code."""
    connection: _Connection = process.get_extra_info("cairn")
    if connection.sessions >= SESSIONS_PER_CONNECTION_MAX:
        Channel(process).complain(f"There are already {SESSIONS_PER_CONNECTION_MAX} sessions on this connection.")
        process.exit(1)
        return
    connection.sessions += 1
    try:
        client = str(process.get_extra_info("client_version", ""))
        with bind_request(random_id(), address=connection.address, user_agent=client):
            code = await _unless_closed(process, connection)
        with suppress(OSError, asyncssh.Error, TimeoutError):
            process.exit(code)
            # What is still in the window must reach the client before a stopping program closes the connection.
            async with asyncio.timeout(_FLUSH_SECONDS):
                await process.wait_closed()
    finally:
        connection.sessions -= 1


async def _unless_closed(process: "asyncssh.SSHServerProcess[bytes]", connection: _Connection) -> int:
    """Return the session's exit code; a client that closes the channel ends everything it has caused."""
    work = asyncio.create_task(_run(process, connection))
    closed = asyncio.create_task(process.wait_closed())
    try:
        await asyncio.wait({work, closed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, closed):
            task.cancel()
        await asyncio.wait({work, closed})
    return 1 if work.cancelled() else work.result()


async def _run(process: "asyncssh.SSHServerProcess[bytes]", connection: _Connection) -> int:
    assert connection.actor is not None, "sessions start after authentication"
    client = SshClient(connection.actor, connection.fingerprint, connection.address)
    protocol = process.env.get("GIT_PROTOCOL", "")
    channel = Channel(process, grace_seconds=connection.door.settings.send_grace_seconds)
    code = await run_command(connection.door, channel, client, process.command, protocol)
    if channel.is_given_up:
        connection.abort()
    return code


async def run_command(door: SshDoor, channel: Channel, client: SshClient, line: str | None, protocol: str) -> int:
    """Serve one session to its end and return git's idea of an exit code.

    ``line`` is the command as the client sent it, None for a shell; ``protocol`` the variable GIT_PROTOCOL. The client
    has proved that it has the key.
    """
    if line is None:
        channel.complain(
            f"Hi {client.actor.label}! You've successfully authenticated, but Cairn does not provide shell access."
        )
        return 1
    try:
        command = parse_command(line)
    except CommandUnknown as unknown:
        channel.complain(unknown.message)
        return 1
    return await _converse(door, channel, client, command, requested_version(protocol))


async def _converse(door: SshDoor, channel: Channel, client: SshClient, command: GitCommandLine, version: int) -> int:
    async def resolve() -> GitTarget:
        target = await door.door.resolve(
            command.owner, command.name, KeyCredential(client.fingerprint), action=_ACTIONS[command.verb]
        )
        door.rates.count_git(target.actor, client.address)
        door.engine.runner.require_room()
        return target

    conversation = Conversation(settings=door.settings, engine=door.engine, channel=channel, resolve=resolve)
    started = time.perf_counter()
    result = Result.GONE
    try:
        with patience(), on_behalf_of(whose_share(client.actor, client.address)):
            async with asyncio.timeout(TRANSFER_SECONDS_MAX):
                match command.verb:
                    case Verb.FETCH:
                        await conversation.fetch(version)
                    case Verb.PUSH:
                        await conversation.push()
                    case Verb.ARCHIVE:
                        await _archive(door, channel, resolve)
                    case Verb.LFS_DOWNLOAD | Verb.LFS_UPLOAD:
                        await _admit_to_lfs(door, channel, client, command, resolve)
        result = Result.OK
    except (OSError, asyncssh.Error):
        pass  # the channel is closed, or has been open for hours; nobody is left to be told
    except Quiet:
        channel.is_given_up = True  # who takes nothing hears nothing
    except ConversationEnded as ended:
        with suppress(OSError, asyncssh.Error):
            await _tell(channel, command, ended)
    except CairnError as error:
        result = Result.FAILED if isinstance(error, Unavailable) else Result.REFUSED
        if isinstance(error, Unavailable):
            _log.warning("git_failed", verb=command.verb.value, error=error.message)
        with suppress(OSError, asyncssh.Error):
            await _tell(channel, command, error)
    except Exception:
        result = Result.FAILED
        _log.exception("git_failed", verb=command.verb.value)
        with suppress(OSError, asyncssh.Error):
            failed = NotFound("The server failed to answer; this is our fault, and it has been logged.")
            await _tell(channel, command, failed)
    finally:
        door.observe(
            door="ssh",
            verb=command.verb,
            step="transfer",
            result=result,
            seconds=time.perf_counter() - started,
            bytes_in=channel.received_bytes,
            bytes_out=channel.sent_bytes,
        )
    return 0 if result is Result.OK else 1


async def _tell(channel: Channel, command: GitCommandLine, error: CairnError) -> None:
    """Say what went wrong where this command's client listens: git inside its protocol, git-lfs on the terminal."""
    if command.verb in {Verb.LFS_DOWNLOAD, Verb.LFS_UPLOAD}:
        channel.complain(error.message)
    else:
        await tell(channel, error)


async def _archive(door: SshDoor, channel: Channel, resolve: Resolve) -> None:
    target = await resolve()
    await serve_archive(door.engine, target.state, channel, max_bytes=door.settings.max_request_bytes)


async def _admit_to_lfs(
    door: SshDoor, channel: Channel, client: SshClient, command: GitCommandLine, resolve: Resolve
) -> None:
    """Tell git-lfs where the repository's large objects are, and give it what to show there."""
    operation = Operation(command.verb.value.rpartition(" ")[2])
    target = await resolve()
    refuse_wiki(target)
    if operation is Operation.UPLOAD:
        begin_push(target, transport="ssh", settings=door.settings)
    header = await door.words.make(Word(client.fingerprint, target.repository_id, operation))
    answer = {
        "href": f"{door.settings.origin}/{quote(target.owner)}/{quote(target.name)}.git/info/lfs",
        "header": {"Authorization": header},
        "expires_in": WORD_SECONDS,
    }
    await channel.write(msgspec.json.encode(answer) + b"\n")
