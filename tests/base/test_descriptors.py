"""Waiting for descriptors: exactly until they are ready, and leaving nothing registered."""

import asyncio
import os
import resource
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from cairn.base.descriptors import Pipe, accept, readable, writable


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


async def test_a_pipe_takes_what_does_not_fit_yet_and_passes_all_of_it_on() -> None:
    reading, writing = os.pipe()
    data = bytes(range(256)) * 8192
    source, target = Pipe(reading), Pipe(writing)
    target.write(data)
    draining = asyncio.create_task(target.drain())
    found = b""
    while len(found) < len(data):
        found += await asyncio.wait_for(source.read(), 60)
    await draining
    assert found == data
    os.close(writing)
    assert await asyncio.wait_for(source.read(), 60) == b""
    os.close(reading)


async def test_a_pipe_that_nobody_reads_says_so() -> None:
    reading, writing = os.pipe()
    target = Pipe(writing)
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        target.write(b"x")
    os.close(writing)


async def test_a_connection_waits_while_no_descriptor_is_free(tmp_path: Path) -> None:
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX, kind) as listener, socket.socket(socket.AF_UNIX, kind) as client:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(8)
        client.connect(str(tmp_path / "socket"))
        lowest_free = os.dup(client.fileno())
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            accepting = asyncio.create_task(accept(listener))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not accepting.done()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with await asyncio.wait_for(accepting, 30) as connection:
            client.send(b"x")
            await readable(connection.fileno())
            assert connection.recv(10) == b"x"
            assert connection.gettimeout() == 0
