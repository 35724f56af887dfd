"""Answers of the HTTP door, message by message."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from cairn.base.errors import CairnError, Forbidden, NotFound, RateLimited, TooLarge, Unauthenticated, Unavailable
from cairn.git.pktline import ProtocolError
from cairn.git_server.answers import Reply
from cairn.web.asgi import Message
from cairn.web.security import BodyTooSlow


class Wire:
    """Keeps what is sent."""

    def __init__(self, *, takes_files: bool = False) -> None:
        self.messages: list[Message] = []
        self.reply = Reply({"extensions": {"http.response.pathsend": {}} if takes_files else None}, self.send)

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("x"), 404),
        (Unauthenticated("x"), 401),
        (Forbidden("x"), 403),
        (BodyTooSlow("x"), 408),
        (TooLarge("x"), 413),
        (ProtocolError("x"), 400),
        (RateLimited("x", retry_after_seconds=7), 429),
        (Unavailable("x", retry_after_seconds=7), 503),
        (CairnError("x"), 500),
    ],
)
async def test_an_error_is_a_status_and_its_sentence(error: CairnError, status: int) -> None:
    wire = Wire()
    await wire.reply.refuse(error)
    assert (wire.status, wire.body) == (status, b"x\n")
    assert (b"www-authenticate" in wire.headers) == (status == 401)
    assert wire.headers.get(b"retry-after") == (b"7" if status in {429, 503} else None)


async def pieces(*given: bytes | CairnError) -> AsyncIterator[bytes]:
    for piece in given:
        if isinstance(piece, CairnError):
            raise piece
        yield piece


async def test_a_failure_before_the_first_piece_can_still_be_an_error_packet() -> None:
    wire = Wire()
    with pytest.raises(Unavailable):
        await wire.reply.chunks(pieces(Unavailable("away")), b"t")
    assert wire.messages == []
    await wire.reply.explain("away", b"t", in_side_band=False)
    assert wire.body == b"000cERR away"


async def test_a_failure_within_a_pack_comes_through_the_error_channel() -> None:
    wire = Wire()
    with pytest.raises(Unavailable):
        await wire.reply.chunks(pieces(b"pack", Unavailable("away")), b"t")
    await wire.reply.explain("away", b"t", in_side_band=False)
    assert wire.body == b"pack000a\x03away\n0000"
    assert wire.messages[-1]["more_body"] is False


async def test_an_answer_without_pieces_is_empty_and_complete() -> None:
    wire = Wire()
    await wire.reply.chunks(pieces(), b"t")
    assert (wire.status, wire.body) == (200, b"")


@pytest.mark.parametrize("takes_files", [True, False])
async def test_a_file_is_handed_over_or_read(tmp_path: Path, takes_files: bool) -> None:
    path = tmp_path / "answer"
    path.write_bytes(bytes(range(256)) * 10_000)
    wire = Wire(takes_files=takes_files)
    await wire.reply.answer(path, b"t")
    assert wire.headers[b"content-length"] == b"2560000"
    assert wire.reply.sent_bytes == 2_560_000
    if takes_files:
        assert wire.messages[1:] == [{"type": "http.response.pathsend", "path": str(path)}]
    else:
        assert wire.body == path.read_bytes()


async def test_a_refusal_that_is_a_500_is_logged() -> None:
    wire = Wire()
    with structlog.testing.capture_logs() as logs:
        await wire.reply.refuse(CairnError("something that no door knows"))
        await wire.reply.part()
    assert wire.status == 500
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("git_failed", "error"),
        ("git_client_gone", "info"),
    ]


async def test_who_left_before_an_answer_is_answered_all_the_same() -> None:
    """Of a request without an answer the server makes a 500 that nobody logs."""
    wire = Wire()
    await wire.reply.part()
    assert wire.status == 408
