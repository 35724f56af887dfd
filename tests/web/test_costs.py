"""Places for costly work: what a flood of strangers takes, everybody who is signed in still has."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.web.costs import Cost, CostlyBusy, CostPlaces

NOBODY = ""


async def how_many(stack: AsyncExitStack, places: CostPlaces, caller: str, cost: Cost = Cost.HISTORY) -> int:
    """Take places for a caller until there are no more and return how often it went well."""
    count = 0
    while True:
        try:
            await stack.enter_async_context(places.hold(caller, cost))
        except CostlyBusy:
            return count
        count += 1


def make(*, shared: int = 4, own: int = 8, queue_seconds: float = 0.01) -> CostPlaces:
    return CostPlaces(shared=shared, own=own, queue_seconds=queue_seconds)


async def test_all_who_are_not_signed_in_share_a_few_places_and_take_nobody_elses() -> None:
    """Attack: a crawler asks for every blame there is, from as many addresses as it likes."""
    async with AsyncExitStack() as stack:
        places = make()
        assert await how_many(stack, places, NOBODY) == 4
        assert await how_many(stack, places, "ada") == 8
        assert await how_many(stack, places, "bob") == 8
        with pytest.raises(CostlyBusy, match="not signed in") as refused:
            await stack.enter_async_context(places.hold(NOBODY, Cost.HISTORY))
        assert refused.value.retry_after_seconds == 5


async def test_what_reads_everything_takes_two_places_and_what_is_light_takes_none() -> None:
    async with AsyncExitStack() as stack:
        places = make()
        assert await how_many(stack, places, NOBODY, Cost.CONTENT) == 2
        await stack.enter_async_context(places.hold(NOBODY, Cost.LIGHT))


async def test_a_single_place_is_enough_for_what_would_take_two() -> None:
    async with make(shared=1).hold(NOBODY, Cost.CONTENT):
        pass


async def test_who_waits_comes_next_in_order() -> None:
    places = make(shared=1, queue_seconds=20)
    order: list[int] = []

    async def ask(number: int) -> None:
        async with places.hold(NOBODY, Cost.HISTORY):
            order.append(number)

    async with asyncio.TaskGroup() as group:
        async with places.hold(NOBODY, Cost.HISTORY):
            for number in range(5):
                group.create_task(ask(number))
            await asyncio.sleep(0)
    assert order == [0, 1, 2, 3, 4]


async def test_a_queue_that_is_full_turns_away_at_once() -> None:
    places = make(shared=1, queue_seconds=60)
    async with asyncio.TaskGroup() as group:
        async with places.hold(NOBODY, Cost.HISTORY):

            async def ask() -> None:
                async with places.hold(NOBODY, Cost.HISTORY):
                    pass

            tasks = [group.create_task(ask()) for _ in range(32)]
            await asyncio.sleep(0)
            with pytest.raises(CostlyBusy):
                await ask()
            for task in tasks[:16]:
                task.cancel()
    assert not places._held
    assert not places._waiters


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "ada", "bob"]), st.sampled_from(list(Cost)), st.booleans()), max_size=60)
)
async def test_no_place_is_ever_lost_or_given_twice(steps: list[tuple[str, Cost, bool]]) -> None:
    """Requests of several callers come and are cut at any moment: the bounds hold, and all places come back."""
    places = make(shared=2, own=3, queue_seconds=30)
    running: list[asyncio.Task[None]] = []
    held = {"": 0, "ada": 0, "bob": 0}
    release = asyncio.Event()

    async def ask(caller: str, cost: Cost) -> None:
        limit = 3 if caller else 2
        async with places.hold(caller, cost):
            points = min(cost.points, limit)
            held[caller] += points
            assert held[caller] <= limit
            try:
                await release.wait()
            finally:
                held[caller] -= points

    for caller, cost, cuts in steps:
        if cuts and running:
            running.pop(len(running) // 2).cancel()
        else:
            running.append(asyncio.create_task(ask(caller, cost)))
        await asyncio.sleep(0)
    release.set()
    done = await asyncio.gather(*running, return_exceptions=True)
    assert all(result is None or isinstance(result, CostlyBusy) for result in done)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not places._held
    assert not places._waiters
