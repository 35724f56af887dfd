"""What becomes of a body that nobody read: taken after the answer if it is small, else the connection closes."""

import asyncio
from typing import Any

import pytest

from cairn.web.asgi import Message, Scope
from cairn.web.ends import REST_BYTES_MAX, Ends


class Server:
    """A server's side of one request: what is still to come of the body, and everything in the order it happened."""

    def __init__(self, *pieces: bytes) -> None:
        self.coming = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        self.coming.append({"type": "http.request", "body": b"", "more_body": False})
        self.happened: list[Any] = []

    async def receive(self) -> Message:
        self.happened.append("receive")
        if not self.coming:
            raise AssertionError("the body has ended: this would wait until the client leaves")
        return self.coming.pop(0)

    async def send(self, message: Message) -> None:
        self.happened.append(dict(message.get("headers", [])).get(b"connection", message["type"]))

    def ends(self, *, version: str = "1.1", **headers: str) -> Ends:
        return Ends(make_scope(version, **headers), self.receive, self.send, grace_seconds=60)


def make_scope(version: str = "1.1", **headers: str) -> Scope:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "http_version": version, "method": "POST", "headers": named}


async def answer(ends: Ends, status: int = 403) -> None:
    await ends.send({"type": "http.response.start", "status": status, "headers": []})
    await ends.send({"type": "http.response.body", "body": b"", "more_body": False})
    await ends.finish()


ANSWERED = ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("status", [200, 403])
async def test_what_is_left_of_a_small_body_is_taken_after_the_answer(status: int) -> None:
    server = Server(b"ab", b"c")
    await answer(server.ends(content_length="3"), status)
    assert server.happened == [*ANSWERED, "receive", "receive", "receive"]
    server = Server(b"ab", b"c")
    ends = server.ends(content_length=str(REST_BYTES_MAX))
    await ends.receive()
    await answer(ends, status)
    assert server.happened == ["receive", *ANSWERED, "receive", "receive"]


async def test_nothing_is_asked_for_after_a_bodys_end() -> None:
    server = Server(b"abc")
    ends = server.ends(content_length="3")
    while (await ends.receive())["more_body"]:
        pass
    await answer(ends)
    assert server.happened == ["receive", "receive", *ANSWERED]
    server.coming = [{"type": "http.disconnect"}]
    gone = server.ends(content_length="3")
    await gone.receive()
    server.happened.clear()
    await answer(gone)
    assert server.happened == ANSWERED


@pytest.mark.parametrize("headers", [{}, {"content_length": "0"}, {"version": "2", "content_length": "3"}])
async def test_nothing_is_asked_for_where_no_body_holds_the_connection(headers: dict[str, str]) -> None:
    server = Server()
    await answer(server.ends(**headers))
    assert server.happened == ANSWERED


@pytest.mark.parametrize(
    "headers",
    [
        {"content_length": str(REST_BYTES_MAX + 1)},
        {"transfer_encoding": "chunked"},
        {"content_length": "3", "expect": "100-continue"},
    ],
)
async def test_a_refusal_before_a_large_body_says_that_the_connection_closes(headers: dict[str, str]) -> None:
    server = Server(b"a" * 3)
    await answer(server.ends(**headers))
    assert server.happened == [b"close", "http.response.body"]
    server.happened.clear()
    await answer(server.ends(**headers), 200)
    assert server.happened == ANSWERED, "an answer may begin while its body is read: a push's progress"


async def test_a_body_that_was_too_slow_is_not_waited_for_again() -> None:
    server = Server(b"abc")
    await answer(server.ends(content_length="3"), 408)
    assert server.happened == [b"close", "http.response.body"]


async def test_a_body_that_grows_or_does_not_come_is_given_up() -> None:
    """Attack: announce a small body and drip it, to hold the connection after the answer."""
    server = Server(*[b"a" * REST_BYTES_MAX] * 3)
    await answer(server.ends(content_length="3"))
    assert server.happened == [*ANSWERED, "receive", "receive"]

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async with asyncio.timeout(10):
        await answer(Ends(make_scope(content_length="3"), silent, server.send, grace_seconds=0.01))


async def test_both_ends_are_let_go() -> None:
    server = Server(b"abc")
    ends = server.ends(content_length="3")
    ends.let_go()
    assert await ends.receive() == {"type": "http.disconnect"}
    await ends.send({"type": "http.response.start", "status": 200, "headers": []})
    assert server.happened == []
