"""Waiting for descriptors: exactly until they are ready, and leaving nothing registered."""

import asyncio
import os
from contextlib import suppress

import pytest

from cairn.base.descriptors import readable, writable


async def test_a_pipe_is_readable_once_it_holds_something_or_has_ended() -> None:
    reading, writing = os.pipe()
    waiting = asyncio.create_task(readable(reading))
    await asyncio.sleep(0)
    assert not waiting.done()
    os.write(writing, b"x")
    await asyncio.wait_for(waiting, 5)
    assert os.read(reading, 10) == b"x"
    ended = asyncio.create_task(readable(reading))
    os.close(writing)
    await asyncio.wait_for(ended, 5)
    assert os.read(reading, 10) == b""
    os.close(reading)


async def test_a_pipe_is_writable_once_its_reader_made_room() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(1 << 16))
    waiting = asyncio.create_task(writable(writing))
    await asyncio.sleep(0)
    assert not waiting.done()
    os.read(reading, 1 << 16)
    await asyncio.wait_for(waiting, 5)
    os.close(reading)
    os.close(writing)


async def test_a_cancelled_wait_leaves_the_descriptor_alone() -> None:
    reading, writing = os.pipe()
    waiting = asyncio.create_task(readable(reading))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not asyncio.get_running_loop().remove_reader(reading)
    os.close(reading)
    os.close(writing)
