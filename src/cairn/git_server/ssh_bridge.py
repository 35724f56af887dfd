"""Sessions of a site's own sshd: its forced command hands them to this program over a Unix socket.

``cairnd ssh-authorized-keys`` asks whose key it is, ``cairnd ssh-serve`` passes the session's three descriptors along
(SCM_RIGHTS) and waits for the exit code: no byte of git goes through the wrapper. Whoever may connect can claim any
key, so the socket takes only processes of this program's own account and of root (SO_PEERCRED).

One connection is one question: a line of JSON each way. ``{"ask": "key", "line": "ssh-ed25519 AAAA…"}`` is answered by
``{"fingerprint": "SHA256:…", "line": …}``; ``{"ask": "serve", "fingerprint", "command", "protocol", "address"}`` with
descriptors by ``{"exit": 0}``. What cannot be answered: ``{"error": "…"}``.
"""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from cairn.base.descriptors import Pipe, accept, readable
from cairn.base.errors import CairnError, Forbidden, Malformed, Misconfigured, Unauthenticated
from cairn.base.ids import random_id
from cairn.base.log import bind_request, get_logger
from cairn.git_server.ssh import SshClient, SshDoor, run_command
from cairn.git_server.ssh_conversation import Channel
from cairn.identity.ssh_keys import SshKeyInvalid, parse_public_key

QUESTION_BYTES_MAX = 64 << 10
QUESTION_SECONDS = 10.0
"""A wrapper sends its question at once; one that does not has no business here."""

SESSIONS_MAX = 1000
_log = get_logger(__name__)

Answer = dict[str, str | int]


class _Question(msgspec.Struct):
    """What a wrapper asks; see the module."""

    ask: str
    line: str = ""
    fingerprint: str = ""
    command: str | None = None
    protocol: str = ""
    address: str = ""


class _Streams:
    """The three streams of a session that an sshd opened."""

    def __init__(self, descriptors: list[int]) -> None:
        self.stdin, self.stdout, self.stderr = map(Pipe, descriptors)


@asynccontextmanager
async def listen_bridge(door: SshDoor, path: Path) -> AsyncIterator[None]:
    """Answer wrappers at a Unix socket until the block ends; what runs then gets ``drain_seconds``, and is cut.

    Errors: Misconfigured if the socket cannot be made there.
    """
    running: set[asyncio.Task[None]] = set()
    with _listener(path) as listener:
        accepting = asyncio.create_task(_accept(door, listener, running))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            accepting.cancel()
            await asyncio.wait({accepting})
            if running:
                await asyncio.wait(running, timeout=door.settings.drain_seconds)
            late = [task for task in running if not task.done()]
            for task in late:
                task.cancel()
            if late:
                _log.warning("ssh_sessions_cut", connections=len(late))
                await asyncio.wait(late)


def _listener(path: Path) -> socket.socket:
    """Make the socket, in place of one that a killed program left; only this account and root may connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    temporary = path.with_name(f".{path.name}.{random_id()[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        listener.bind(str(temporary))
        temporary.chmod(0o600)
        listener.listen(512)
        temporary.rename(path)
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"CAIRN_SSH_SOCKET={str(path)!r}: cannot listen there ({error.strerror or error})"
        ) from None
    return listener


async def _accept(door: SshDoor, listener: socket.socket, running: set[asyncio.Task[None]]) -> None:
    while True:
        connection = await accept(listener)
        if len(running) >= SESSIONS_MAX or not _is_trusted(connection):
            _log.warning("bridge_refused", peer_uid=_uid_of(connection), running=len(running))
            connection.close()
            continue
        task = asyncio.create_task(_serve(door, connection))
        running.add(task)
        task.add_done_callback(running.discard)


def _uid_of(connection: socket.socket) -> int:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return int(uid)


def _is_trusted(connection: socket.socket) -> bool:
    return _uid_of(connection) in {0, os.geteuid()}


async def _serve(door: SshDoor, connection: socket.socket) -> None:
    """Answer one question; a wrapper that goes away ends what it asked for."""
    descriptors: list[int] = []
    with connection:
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                question = await _receive(connection, descriptors)
            answer = await _unless_gone(connection, _answer(door, question, descriptors))
        except CairnError as error:
            answer = {"error": error.message}
        except (OSError, TimeoutError):
            return
        except Exception:
            _log.exception("bridge_failed")
            answer = {"error": "The server failed to answer; this is our fault, and it has been logged."}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        with suppress(OSError):
            # One short line fits the socket's buffer.
            connection.send(msgspec.json.encode(answer) + b"\n")


async def _receive(connection: socket.socket, descriptors: list[int]) -> _Question:
    """Read the question; what descriptors came with it are in the list, whatever happens. Errors: Malformed."""
    line = b""
    while not line.endswith(b"\n"):
        await readable(connection.fileno())
        data, found, _, _ = socket.recv_fds(connection, QUESTION_BYTES_MAX, 3)
        descriptors += found
        line += data
        if not data or len(line) > QUESTION_BYTES_MAX:
            raise Malformed("a question is one line of JSON")
    try:
        return msgspec.json.decode(line, type=_Question)
    except msgspec.MsgspecError as error:
        raise Malformed(f"not a question: {error}") from None


async def _unless_gone(connection: socket.socket, work: Coroutine[object, object, Answer]) -> Answer:
    """Return what ``work`` returns; it is cancelled, with ConnectionResetError, once the peer has closed."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(readable(connection.fileno()))  # nothing more is ever sent, so this is the end
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ConnectionResetError("the wrapper went away")
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.wait({task, gone})


async def _answer(door: SshDoor, question: _Question, descriptors: list[int]) -> Answer:
    match question.ask:
        case "key":
            return await _whose_key(door, question.line)
        case "serve" if len(descriptors) == 3:
            return {"exit": await _session(door, question, descriptors)}
    raise Malformed(f"there is no answer to {question.ask[:20]!r} with {len(descriptors)} descriptors")


async def _whose_key(door: SshDoor, line: str) -> Answer:
    """Return the fingerprint of a key that signs somebody in; no fingerprint for any other."""
    try:
        key = parse_public_key(line)
        await door.authenticator.actor_of_fingerprint(key.fingerprint)
    except (SshKeyInvalid, Unauthenticated, Forbidden):
        return {"fingerprint": ""}
    return {"fingerprint": key.fingerprint, "line": key.text}


async def _session(door: SshDoor, question: _Question, descriptors: list[int]) -> int:
    found = await door.authenticator.actor_of_fingerprint(question.fingerprint)
    client = SshClient(found.actor, question.fingerprint, question.address)
    with bind_request(random_id(), address=question.address, user_agent="sshd"):
        channel = Channel(_Streams(descriptors), grace_seconds=door.settings.send_grace_seconds)
        return await run_command(door, channel, client, question.command, question.protocol)
