"""One git conversation over an SSH channel: protocol v2 in a loop, v0 and v1 through stock git, pushes.

The channel is an asyncssh process; what this module needs of it is ``Channel``. Rights are read again for every command
of a conversation, so a revoked key or role stops a session that is still open.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Protocol

import asyncssh

from cairn.access.roles import Visibility
from cairn.base.errors import CairnError
from cairn.base.settings import KIB, MIB, Settings
from cairn.git.bundles import BUNDLE_COMMAND, bundle_uri, list_bundles
from cairn.git.engine import Engine
from cairn.git.fetch_cache import Answer, Flight
from cairn.git.pktline import FLUSH, ConversationEnded, PktReader, encode
from cairn.git.receive_pack import read_push_request
from cairn.git.runner import GitChild, GitFailed
from cairn.git.upload_pack import error_in_side_band, error_packet, read_v2_request, v2_advertisement
from cairn.git_server.pace import Pace, Quiet
from cairn.repositories.accept_push import begin_push, push_by
from cairn.repositories.git_access import GitTarget

QUIET_SECONDS = 3600
"""A client may count and compress this long before it sends a byte."""

V0_QUIET_SECONDS = 60
"""The same in the old protocols, where a git child waits along and clients have little to compute."""

_READ_BYTES = 256 * KIB
_PIECE_BYTES = 64 * KIB
"""Sent at a time: what one piece buys is the longest that a client can stall beyond its patience, 16 s."""
_PACKFILE = encode(b"packfile\n")

Resolve = Callable[[], Awaitable[GitTarget]]
"""Returns the repository as the client may see it now; raises like ``GitDoor.resolve``."""


class ToldAlready(ConversationEnded):
    """The conversation failed and the client has been told inside it."""


class Input(Protocol):
    """Where a session's bytes come from: asyncssh's reader, or a pipe that an sshd opened."""

    async def read(self, n: int = -1, /) -> bytes:
        """Return the next bytes, at most ``n``; empty at the end."""
        ...


class Output(Protocol):
    """Where a session's bytes go."""

    def write(self, data: bytes, /) -> None:
        """Take ``data`` to be sent; OSError (or asyncssh's error) once the client is gone."""
        ...

    async def drain(self) -> None:
        """Return when there is room for more."""
        ...


class Pipes(Protocol):
    """A session's three streams; an asyncssh process has them."""

    @property
    def stdin(self) -> Input:
        """What the client sends."""
        ...

    @property
    def stdout(self) -> Output:
        """What the client's git reads."""
        ...

    @property
    def stderr(self) -> Output:
        """What the client's terminal shows."""
        ...


class Channel:
    """Standard input and output of one SSH session, counted, with a deadline on every step."""

    def __init__(self, process: Pipes, *, grace_seconds: float = 60) -> None:
        self._process = process
        self._grace_seconds = grace_seconds
        self._taking = Pace(grace_seconds)
        self._sending: Pace | None = None
        self.received_bytes = 0
        self.sent_bytes = 0
        self.is_given_up = False
        """True once the client took too long, so that nothing more is said to it."""
        self.is_in_side_band = False
        """True once the client reads channels, so that an error must come through the one for errors."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the channel itself: reading goes on where it stopped, also after a read that was cancelled."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece of what the client sends until it ends its side. Errors: Quiet."""
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self, *, quiet_seconds: float = QUIET_SECONDS) -> bytes:
        """Return the next piece, empty once the client ended its side. Errors: Quiet; ConversationEnded if it left."""
        try:
            if self._sending is not None:
                data = await self._sending.take(self._process.stdin.read(_READ_BYTES))
            else:
                async with asyncio.timeout(quiet_seconds):
                    data = await self._process.stdin.read(_READ_BYTES)
        except TimeoutError:
            raise Quiet(quiet_seconds) from None
        except asyncssh.DisconnectError as lost:
            raise ConversationEnded("the connection was lost") from lost
        self.received_bytes += len(data)
        return data

    async def flowing(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield ``chunks``, a pack that comes from this channel; once it has begun, it must keep coming."""
        async for chunk in chunks:
            self._sending = self._sending or Pace(self._grace_seconds)
            yield chunk

    async def write(self, data: bytes) -> None:
        """Send ``data``; returns when the client's window has room again. Errors: Quiet; OSError if it left."""
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            self._process.stdout.write(piece)
            self.sent_bytes += len(piece)
            await self._taking.give(self._process.stdout.drain(), len(piece))

    def complain(self, sentence: str) -> None:
        """Show a sentence on the client's terminal; a client that is gone misses nothing."""
        with suppress(OSError, asyncssh.Error):
            self._process.stderr.write(sentence.encode() + b"\n")


class Conversation:
    """Talks git with one client about one repository."""

    def __init__(self, *, settings: Settings, engine: Engine, channel: Channel, resolve: Resolve) -> None:
        self._settings = settings
        self._engine = engine
        self._channel = channel
        self._resolve = resolve

    async def fetch(self, version: int) -> None:
        """Serve upload-pack to its end. Errors: what ``resolve`` and the engine raise, ProtocolError."""
        target = await self._resolve()
        if version < 2:
            await self._fetch_v0(target, version)
            return
        await self._channel.write(v2_advertisement())
        reader = PktReader(self._channel, max_bytes=self._settings.max_request_bytes)
        while (request := await read_v2_request(reader)) is not None:
            reader.renew(self._settings.max_request_bytes)
            target = await self._resolve()
            if request.command == BUNDLE_COMMAND:
                # The bundle lies behind HTTP, where this client's key is no proof: for everybody's repositories only.
                is_public = target.scope.visibility is Visibility.PUBLIC
                uri = bundle_uri(self._settings.origin, target.full_name)
                await self._channel.write(await list_bundles(self._engine, target.state, uri) if is_public else FLUSH)
                continue
            answer: Answer
            async with self._engine.upload.serve_v2(target.state, request) as answer:
                await self._answer(answer)

    async def push(self) -> None:
        """Serve receive-pack to its end. Errors: what ``resolve`` raises, TransportClosed, ProtocolError."""
        target = await self._resolve()
        begin_push(target, transport="ssh", settings=self._settings)
        await self._channel.write(await self._engine.receive.advertisement(target.state))
        self._channel.is_in_side_band = True
        reader = PktReader(self._channel, max_bytes=self._settings.max_request_bytes)
        request = await read_push_request(reader, self._settings)
        if request is None:
            return
        target = await self._resolve()
        begin_push(target, transport="ssh", settings=self._settings)
        by = push_by(target, settings=self._settings)
        pack = self._channel.flowing(reader.rest())
        async with aclosing(self._engine.receive.receive(target.state, request, pack, by)) as report:
            async for chunk in report:
                await self._channel.write(chunk)

    async def _answer(self, answer: Answer) -> None:
        if isinstance(answer, bytes):
            await self._channel.write(answer)
        elif isinstance(answer, Flight):
            await self._flight(answer)
        else:
            await self._file(answer)

    async def _flight(self, flight: Flight) -> None:
        try:
            async for chunk in flight.chunks():
                await self._channel.write(chunk)
        except CairnError as error:
            if isinstance(error, Quiet) or _PACKFILE not in flight.head:
                raise
            # After the beginning of a pack only the error channel is heard.
            await self._channel.write(error_in_side_band(error.message))
            raise ToldAlready(error.message) from error

    async def _file(self, path: Path) -> None:
        with await asyncio.to_thread(path.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, MIB):
                await self._channel.write(chunk)

    async def _fetch_v0(self, target: GitTarget, version: int) -> None:
        async with self._engine.upload.converse_v0(target.state, version=version) as child:
            questions = asyncio.create_task(self._ask(child))
            try:
                async for chunk in child.chunks():
                    await self._channel.write(chunk)
            finally:
                questions.cancel()
                await asyncio.wait({questions})
            try:
                await child.finish()
            except GitFailed as failed:
                raise ToldAlready(failed.message) from failed  # stock git says itself what it dislikes

    async def _ask(self, child: GitChild) -> None:
        """Hand the client's questions to the child until either has had enough."""
        with suppress(BrokenPipeError, CairnError):
            while chunk := await self._channel.read(quiet_seconds=V0_QUIET_SECONDS):
                await child.write(chunk)
        # Who has been silent for too long is past its questions, and is being sent a pack, or will get none.
        child.close_stdin()


async def tell(channel: Channel, error: CairnError) -> None:
    """Make the client stop and show the error, unless it knows already or is gone."""
    if not isinstance(error, ToldAlready | Quiet):
        packet = error_in_side_band if channel.is_in_side_band else error_packet
        await channel.write(packet(error.message))
