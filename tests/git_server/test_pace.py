"""The patience with a client that takes or sends too slowly."""

import asyncio

import pytest

from cairn.git_server.pace import BYTES_PER_SECOND_MIN, Pace, Quiet


async def never() -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


async def piece(data: bytes) -> bytes:
    return data


async def test_a_client_that_does_nothing_is_given_up_when_the_patience_is_used_up() -> None:
    with pytest.raises(Quiet):
        await Pace(0.02).give(never(), 0)
    with pytest.raises(Quiet):
        await Pace(0.02).take(never())


async def test_bytes_win_patience_back_but_no_more_than_there_was() -> None:
    """Attack: take a gigabyte quickly, then hold the rest of the answer for three days."""
    pace = Pace(0.05)
    await pace.give(piece(b""), 1 << 30)
    assert await pace.take(piece(b"x" * (1 << 20))) == b"x" * (1 << 20)
    async with asyncio.timeout(20):
        with pytest.raises(Quiet):
            await pace.give(never(), 0)


async def test_many_short_waits_use_the_same_patience() -> None:
    """Attack: take a byte just before each deadline."""
    pace = Pace(0.1)

    async def take_byte_by_byte() -> None:
        for _ in range(1000):
            await pace.give(asyncio.sleep(0.01), 1)

    with pytest.raises(Quiet):
        await take_byte_by_byte()


async def test_who_keeps_the_pace_is_never_given_up() -> None:
    pace = Pace(0.5)
    for _ in range(30):
        await pace.give(asyncio.sleep(0.05), BYTES_PER_SECOND_MIN)
