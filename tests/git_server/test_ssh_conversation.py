"""One SSH channel: counted, and given up when nothing moves. Whole conversations are in ``tests/git_compat``."""

import asyncio
from typing import Any, cast

import pytest

from cairn.base.errors import Forbidden
from cairn.git_server.pace import Quiet
from cairn.git_server.ssh_conversation import Channel, ToldAlready, tell


class Process:
    """Stands for asyncssh's process: standard input and output in memory."""

    def __init__(self, *given: bytes, takes: bool = True) -> None:
        self.stdin = self.stdout = self
        self.written = b""
        self._given = list(given)
        self._takes = takes

    async def read(self, size: int) -> bytes:
        if not self._given:
            await asyncio.Event().wait()
        return self._given.pop(0)

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        if not self._takes:
            await asyncio.Event().wait()


def channel_of(process: Process) -> Channel:
    return Channel(cast("Any", process))


async def test_what_passes_is_counted_until_the_client_ends_its_side() -> None:
    process = Process(b"abc", b"de", b"")
    channel = channel_of(process)
    assert [chunk async for chunk in channel] == [b"abc", b"de"]
    await channel.write(b"answer")
    assert (channel.received_bytes, channel.sent_bytes, process.written) == (5, 6, b"answer")


async def test_a_client_that_neither_sends_nor_takes_is_given_up() -> None:
    with pytest.raises(Quiet):
        await channel_of(Process()).read(quiet_seconds=0.02)
    with pytest.raises(Quiet):
        await Channel(cast("Any", Process(takes=False)), grace_seconds=0.02).write(b"x")


async def test_an_error_is_told_as_the_client_listens_at_that_moment() -> None:
    process = Process()
    channel = channel_of(process)
    await tell(channel, Forbidden("no"))
    assert process.written == b"000aERR no"
    channel.is_in_side_band = True
    await tell(channel, Forbidden("no"))
    assert process.written == b"000aERR no0008\x03no\n0000"


async def test_who_was_told_or_is_gone_is_not_told_again() -> None:
    process = Process()
    for error in (ToldAlready("x"), Quiet(1)):
        await tell(channel_of(process), error)
    assert process.written == b""
