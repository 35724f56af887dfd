import asyncio

import pytest

from cairn.git.ref_queues import RefQueues


async def test_turns_at_one_ref_are_taken_in_order_and_others_do_not_wait() -> None:
    queues, seen, going_on = RefQueues(), list[str](), asyncio.Event()

    async def work(name: str, ref: bytes) -> None:
        async with queues.turn(1, ref):
            seen.append(f"{name} begins")
            if name == "first":
                await going_on.wait()
            seen.append(f"{name} ends")

    async with asyncio.TaskGroup() as group:
        for name, ref in (("first", b"a"), ("second", b"a"), ("third", b"a"), ("other", b"b")):
            group.create_task(work(name, ref))
            await asyncio.sleep(0)
        group.create_task(_release(seen, going_on))
    assert seen == [
        *("first begins", "other begins", "other ends", "first ends"),
        *("second begins", "second ends", "third begins", "third ends"),
    ]


async def _release(seen: list[str], going_on: asyncio.Event) -> None:
    while "other ends" not in seen:
        await asyncio.sleep(0)
    going_on.set()


async def test_a_line_that_nobody_stands_in_is_gone_even_after_a_failure() -> None:
    queues = RefQueues()

    async def fail() -> None:
        async with queues.turn(1, b"a"):
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert not queues._lines
    async with queues.turn(1, b"a"):
        assert len(queues._lines) == 1
