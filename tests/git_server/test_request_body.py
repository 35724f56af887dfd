"""Bodies of git requests: their limits, and the client that leaves."""

import asyncio
import gzip
import zlib
from collections.abc import Callable

import pytest

from cairn.git.pktline import ProtocolError
from cairn.git_server.request_body import AHEAD_BYTES_MAX, ClientGone, RequestBody
from cairn.web.asgi import Message
from cairn.web.security import BodyTooSlow


class Client:
    """Sends messages when the test says so; a message it is asked for and has not got keeps the server waiting."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        for number, piece in enumerate(pieces):
            self.send(piece, more=not ends or number + 1 < len(pieces))

    def send(self, piece: bytes, *, more: bool = True) -> None:
        self._queue.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def leave(self) -> None:
        self._queue.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        return await self._queue.get()

    @property
    def unsent(self) -> int:
        return self._queue.qsize()


async def read(body: RequestBody) -> bytes:
    return b"".join([chunk async for chunk in body])


def body_of(client: Client, *, is_gzip: bool = False, grace_seconds: float = 5) -> RequestBody:
    return RequestBody(client.receive, is_gzip=is_gzip, grace_seconds=grace_seconds)


@pytest.mark.parametrize("cut", [1, 7, 1000])
async def test_a_gzip_body_is_inflated_whatever_its_pieces(cut: int) -> None:
    plain = b"0032want something\n" * 5000
    packed = gzip.compress(plain)
    pieces = [packed[start : start + cut] for start in range(0, len(packed), cut)]
    assert await read(body_of(Client(*pieces, b""), is_gzip=True)) == plain


async def test_an_inflated_body_comes_in_bounded_pieces() -> None:
    """Attack: 10 kB of gzip that unfold into 10 MB at once."""
    bomb = gzip.compress(bytes(10 << 20))
    assert len(bomb) < 20_000
    body = body_of(Client(bomb), is_gzip=True)
    sizes = [len(chunk) async for chunk in body]
    assert sum(sizes) == 10 << 20
    assert max(sizes) <= 256 << 10


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"not gzip at all", id="text"),
        pytest.param(gzip.compress(b"x" * 1000)[:-12], id="cut"),
        pytest.param(gzip.compress(b"a") + gzip.compress(b"b"), id="two members"),
        pytest.param(zlib.compress(b"zlib, not gzip"), id="zlib"),
        pytest.param(b"", id="empty"),
    ],
)
async def test_a_broken_gzip_body_is_malformed(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        await read(body_of(Client(sent), is_gzip=True))


async def test_a_body_that_stalls_is_given_up() -> None:
    with pytest.raises(BodyTooSlow):
        await read(body_of(Client(b"0000", ends=False), grace_seconds=0.05))


async def test_time_that_the_server_takes_is_not_the_clients() -> None:
    pieces = [bytes([number]) * (AHEAD_BYTES_MAX + 1) for number in range(3)]
    body = body_of(Client(*pieces), grace_seconds=0.1)
    seen = []
    async for chunk in body:
        await asyncio.sleep(0.08)  # work on the piece: together longer than the client's grace
        seen.append(chunk)
    assert seen == pieces


async def test_what_came_meanwhile_is_read_at_once() -> None:
    client = Client(*[b"%04d" % number for number in range(1000)])
    chunks = [chunk async for chunk in body_of(client)]
    assert b"".join(chunks) == b"".join(b"%04d" % number for number in range(1000))
    assert len(chunks) < 100


async def test_no_more_is_read_ahead_than_the_bound() -> None:
    client = Client(*[bytes(64 << 10)] * 20)
    body = body_of(client)
    await anext(body)
    await asyncio.sleep(0.05)
    waiting = client.unsent
    assert 20 - waiting <= 2 * (AHEAD_BYTES_MAX // (64 << 10) + 1)  # what was read, and what is ahead
    assert sum([len(chunk) async for chunk in body]) > 0
    assert client.unsent == 0


async def test_a_server_that_fails_to_receive_fails_the_reader() -> None:
    async def receive() -> Message:
        raise ConnectionResetError("the connection is gone")

    with pytest.raises(ConnectionResetError):
        await read(RequestBody(receive, is_gzip=False, grace_seconds=5))


async def test_a_client_that_leaves_within_its_body_is_noticed() -> None:
    client = Client(b"half", ends=False)
    client.leave()
    with pytest.raises(ClientGone):
        await read(body_of(client))


async def cancelled_when(act: Callable[[Client], None], client: Client, body: RequestBody) -> str:
    """Run endless work while present; return how it ended."""
    asyncio.get_running_loop().call_later(0.1, act, client)
    try:
        async with asyncio.timeout(5), body.while_present():
            await asyncio.Event().wait()
    except ClientGone:
        return "gone"
    except TimeoutError:
        return "still there"
    return "done"


async def test_a_client_that_leaves_during_the_work_ends_it() -> None:
    client = Client(b"question")
    body = body_of(client)
    await read(body)
    assert await cancelled_when(Client.leave, client, body) == "gone"


async def test_a_client_that_leaves_while_its_body_waits_is_noticed_too() -> None:
    client = Client(b"commands", ends=False)
    body = body_of(client)
    assert await anext(body) == b"commands"
    assert await cancelled_when(Client.leave, client, body) == "gone"


async def test_what_was_read_ahead_while_watching_is_not_lost() -> None:
    client = Client(b"first", ends=False)
    body = body_of(client, grace_seconds=5)
    seen = [await anext(body)]
    async with body.while_present():
        await asyncio.sleep(0.1)  # the watcher waits for news
        for piece in (b"second", b"third", b"fourth"):
            client.send(piece)
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        client.send(b"", more=False)
        seen += [chunk async for chunk in body]
    assert b" ".join(seen) == b"first secondthirdfourth"


class LosingClient(Client):
    """Like granian: a message that was asked for is lost when the asking is cancelled, and then the client "left"."""

    was_cancelled = False

    async def receive(self) -> Message:
        if self.was_cancelled:
            return {"type": "http.disconnect"}
        try:
            return await super().receive()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


async def test_a_reader_that_is_cancelled_does_not_make_the_client_leave() -> None:
    """A push whose pack git had taken whole before the body's end was read ended in a 500 that nobody logged."""
    client = LosingClient(b"the pack", ends=False)
    body = body_of(client)
    async with asyncio.timeout(10), body.while_present():
        assert await anext(body) == b"the pack"
        reading = asyncio.ensure_future(anext(body))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        await asyncio.sleep(0.1)  # the watcher waits for news
        assert not client.was_cancelled
        client.send(b"more", more=False)
        assert [chunk async for chunk in body] == [b"more"]


async def test_a_client_that_leaves_after_an_end_that_nobody_read_is_noticed() -> None:
    client = Client(b"the pack", ends=False)
    body = body_of(client)
    assert await anext(body) == b"the pack"
    client.send(b"", more=False)
    assert await cancelled_when(Client.leave, client, body) == "gone"


async def test_a_cancellation_from_outside_stays_one() -> None:
    body = body_of(Client(b""))

    async def work() -> None:
        async with body.while_present():
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
