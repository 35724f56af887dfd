"""Git's way to a repository behind SSH: a private socket at which a tiny program hands over git's two streams.

Git starts ``ssh_pipe`` where it would start ``ssh``; that passes its standard input and output along (SCM_RIGHTS) with
the command and waits for the exit code. So the key stays in this process, and git cannot reach another address than the
one that was checked, nor run anything there but its two services for this one repository.
"""

import asyncio
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncssh
import msgspec

from cairn.base.descriptors import Pipe, accept, readable
from cairn.base.errors import CairnError
from cairn.base.log import get_logger
from cairn.base.settings import KIB
from cairn.egress import ssh_pipe
from cairn.egress.http import ConnectionFailed
from cairn.egress.ssh import SshRepository

SILENCE_SECONDS = {"git-upload-pack": 120.0, "git-receive-pack": 900.0}
"""So long a service may send and take next to nothing; while we pack and while hooks run there, a push is silent."""

SILENCE_BYTES = KIB
"""So little is next to nothing."""

EXIT_SECONDS = 30.0
SAID_BYTES_MAX = 8 * KIB
_COMMAND_BYTES_MAX = 8 * KIB
_CHUNK_BYTES = 256 * KIB
_log = get_logger(__name__)


class _Answer(msgspec.Struct):
    """What the tiny program is told: how the command ended and what the server said on standard error."""

    exit: int
    said: str


@asynccontextmanager
async def listen_for_git(repository: SshRepository) -> AsyncIterator[str]:
    """Yield the command that git runs in place of ``ssh``; conversations under way end with the block."""
    running: set[asyncio.Task[None]] = set()
    with tempfile.TemporaryDirectory(prefix="cairn-") as folder:  # for this account alone
        path = Path(folder) / "git"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
            listener.bind(str(path))
            listener.listen(8)
            accepting = asyncio.create_task(_accept(repository, listener, running))
            try:
                yield shlex.join([sys.executable, "-I", "-S", ssh_pipe.__file__, str(path)])
            finally:
                tasks = {accepting, *running}
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)


async def _accept(repository: SshRepository, listener: socket.socket, running: set[asyncio.Task[None]]) -> None:
    while True:
        connection = await accept(listener)
        task = asyncio.create_task(_answer(repository, connection))
        running.add(task)
        task.add_done_callback(running.discard)


async def _answer(repository: SshRepository, connection: socket.socket) -> None:
    descriptors: list[int] = []
    with connection:
        try:
            command, descriptors = await _receive(connection)
            answer = await _serve(repository, command.partition(b" ")[0].decode("ascii", "replace"), descriptors)
            await asyncio.get_running_loop().sock_sendall(connection, msgspec.json.encode(answer))
        except OSError as error:
            _log.info("git_went_away", host=repository.address.host, reason=str(error))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


async def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    await readable(connection.fileno())
    command, descriptors, _, _ = socket.recv_fds(connection, _COMMAND_BYTES_MAX, 2)
    return command, descriptors


async def _serve(repository: SshRepository, service: str, descriptors: list[int]) -> _Answer:
    if service not in SILENCE_SECONDS or len(descriptors) != 2:
        return _Answer(255, f"{service!r} is no service of git's\n")
    repository.failure = None
    try:
        return await _converse(repository, service, *map(Pipe, descriptors))
    except CairnError as error:
        repository.failure = error
        return _Answer(255, f"{error.message}\n")
    except (OSError, asyncssh.Error):
        repository.failure = ConnectionFailed(f"{repository.place} broke off the connection.")
        return _Answer(255, "the connection broke off\n")


async def _converse(repository: SshRepository, service: str, source: Pipe, target: Pipe) -> _Answer:
    """Return how the service ended after everything it sent is with git. Errors: ConnectionFailed, OSError."""
    silence = SILENCE_SECONDS[service]
    loop = asyncio.get_running_loop()
    process = await repository.start(service)
    said, moved = bytearray(), 0
    try:
        async with asyncio.timeout(silence) as deadline:

            def count(data: bytes) -> None:
                nonlocal moved
                moved += len(data)
                if moved >= SILENCE_BYTES and not deadline.expired():
                    moved = 0
                    deadline.reschedule(loop.time() + silence)

            async def send() -> None:
                # What the server does not take any more is its own business: its exit code tells.
                with suppress(BrokenPipeError, asyncssh.Error, ConnectionResetError):
                    while data := await source.read(_CHUNK_BYTES):
                        count(data)
                        process.stdin.write(data)
                        await process.stdin.drain()
                    process.stdin.write_eof()

            async def listen() -> None:
                while data := await process.stderr.read(SAID_BYTES_MAX):
                    count(data)
                    said.extend(data[: SAID_BYTES_MAX - len(said)])

            sending, listening = asyncio.create_task(send()), asyncio.create_task(listen())
            try:
                while data := await process.stdout.read(_CHUNK_BYTES):
                    count(data)
                    target.write(data)
                    await target.drain()
                await listening
            finally:
                sending.cancel()
                listening.cancel()
                await asyncio.wait({sending, listening})
        async with asyncio.timeout(EXIT_SECONDS):
            await process.wait_closed()
    except TimeoutError:
        raise ConnectionFailed(f"{repository.place} was silent for {silence:g} s.") from None
    finally:
        process.close()
    code = process.exit_status
    return _Answer(255 if code is None else code, said.decode("utf-8", "replace"))
