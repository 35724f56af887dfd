"""One does what several want: with success each has a turn, with failure all who waited fail at once."""

import asyncio

import pytest

from cairn.git.turns import Turns
from cairn.storage.errors import StorageUnavailable, unavailable


async def test_who_waited_for_a_turn_that_failed_fails_with_it_and_the_next_one_tries() -> None:
    turns = Turns()
    tries = 0
    may_end = asyncio.Event()

    async def work() -> None:
        nonlocal tries
        async with turns.turn():
            tries += 1
            await may_end.wait()
            raise unavailable("get", "no answer in time")

    waiting = [asyncio.create_task(work()) for _ in range(5)]
    await asyncio.sleep(0)
    may_end.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [StorageUnavailable] * 5
    assert tries == 1
    with pytest.raises(StorageUnavailable):
        await work()
    assert tries == 2


async def test_turns_that_succeed_come_one_after_the_other() -> None:
    turns = Turns()
    inside = most = done = 0

    async def work() -> None:
        nonlocal inside, most, done
        async with turns.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            done += 1

    await asyncio.gather(*(work() for _ in range(5)))
    assert (most, done) == (1, 5)
