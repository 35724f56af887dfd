"""Places for git children: shared fairly, waited for with an end, and never lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.git.places import GitBusy, Kind, Places, on_behalf_of


@asynccontextmanager
async def held(places: Places, caller: str, kind: Kind = Kind.SHORT) -> AsyncIterator[None]:
    with on_behalf_of(caller):
        async with places.hold(kind):
            yield


async def how_many(stack: AsyncExitStack, places: Places, caller: str, kind: Kind = Kind.SHORT) -> int:
    """Take places for a caller until there are no more and return how many it got."""
    count = 0
    while True:
        try:
            await stack.enter_async_context(held(places, caller, kind))
        except GitBusy:
            return count
        count += 1


def make(total: int, *, packing: int = 4, queue_seconds: float = 0.01, max_waiting: int = 100) -> Places:
    return Places(total, packing=packing, queue_seconds=queue_seconds, max_waiting=max_waiting)


async def test_one_caller_leaves_half_and_each_further_one_half_of_the_rest() -> None:
    """Attack: one account opens as many slow pushes as there are places."""
    async with AsyncExitStack() as stack:
        places = make(16)
        assert [await how_many(stack, places, caller) for caller in "abcde"] == [8, 4, 2, 1, 1]


async def test_children_at_a_clients_pace_share_their_half_by_the_same_rule() -> None:
    async with AsyncExitStack() as stack:
        places = make(16)
        assert [await how_many(stack, places, caller, Kind.PACED) for caller in "abcd"] == [4, 2, 1, 1]
        assert await how_many(stack, places, "e") == 4, "pages still find a place"


async def test_answers_that_are_packed_have_an_end_of_their_own() -> None:
    """Attack: many large clones at once take all cores and all memory."""
    async with AsyncExitStack() as stack:
        places = make(16, packing=4)
        assert [await how_many(stack, places, caller, Kind.PACKING) for caller in "abcd"] == [2, 1, 1, 0]
        with pytest.raises(GitBusy, match="this node is busy"):
            await stack.enter_async_context(held(places, "d", Kind.PACKING))
        assert await how_many(stack, places, "d") == 6, "pages and pushes still find a place"


async def test_the_sites_own_work_is_no_caller() -> None:
    async with AsyncExitStack() as stack:
        assert await how_many(stack, make(6), "") == 6


async def test_a_single_place_serves_everybody_in_turn() -> None:
    places = make(1)
    for caller in "aabb":
        async with held(places, caller, Kind.PACED):
            pass


async def test_who_waits_longest_comes_next_and_who_may_not_have_more_is_passed_over() -> None:
    places = make(4, queue_seconds=20)
    order: list[str] = []
    async with AsyncExitStack() as first:
        for caller in "aab":
            await first.enter_async_context(held(places, caller))

        async def work(name: str) -> None:
            async with held(places, name[0]):
                order.append(name)

        waiting = []
        for name in ("a1", "b1", "c1", "c2"):
            waiting.append(asyncio.create_task(work(name)))
            await asyncio.sleep(0)
        assert order == ["c1", "c2"], "one is free: a and b hold as much as that, c nothing"
    await asyncio.gather(*waiting)
    assert order[2:] == ["b1", "a1"], "the first place that came free was too much for a, who still held two"
    assert places.waiting == 0


async def test_waiting_ends_with_what_to_do_and_the_queue_has_an_end() -> None:
    places = make(2, max_waiting=1)
    async with held(places, "a"):
        with pytest.raises(GitBusy, match="1 of your git operations") as refused:
            async with held(places, "a"):
                pass
        assert refused.value.retry_after_seconds > 0
        async with held(places, "b"):
            with pytest.raises(GitBusy, match="this node is busy"):
                async with held(places, "c"):
                    pass
    places = make(1, queue_seconds=20, max_waiting=1)
    async with held(places, "a"):
        waiter = asyncio.create_task(held(places, "b").__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(GitBusy, match="too many"):
            async with held(places, "c"):
                pass
        waiter.cancel()
        await asyncio.wait({waiter})
    assert places.waiting == 0


async def test_overload_is_seen_by_who_comes_now() -> None:
    places = make(1, queue_seconds=0.4)

    def is_overloaded() -> bool:
        return places.is_overloaded

    assert not is_overloaded()
    async with held(places, "a"):
        assert not is_overloaded(), "nobody waits yet"
        waiter = asyncio.create_task(how_many(AsyncExitStack(), places, "b"))
        async with asyncio.timeout(20):
            while not is_overloaded():
                await asyncio.sleep(0.01)
        assert await waiter == 0
        assert not is_overloaded()


@given(
    total=st.integers(1, 6),
    packing=st.integers(1, 8),
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(Kind), st.sampled_from(["run", "cancel"])), max_size=30
    ),
)
async def test_no_place_is_ever_lost_however_waiters_end(
    total: int, packing: int, steps: list[tuple[str, Kind, str]]
) -> None:
    places = make(total, packing=packing, queue_seconds=20)
    gate = asyncio.Event()

    async def work(caller: str, kind: Kind) -> None:
        async with held(places, caller, kind):
            await gate.wait()

    tasks = []
    for caller, kind, how in steps:
        task = asyncio.create_task(work(caller, kind))
        tasks.append(task)
        await asyncio.sleep(0)
        if how == "cancel":
            tasks[len(tasks) // 2].cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(10):
            for _ in range(total):
                await stack.enter_async_context(held(places, ""))


async def test_callers_who_are_not_signed_in_leave_a_quarter_whatever_their_number() -> None:
    """Attack: a crawler comes from more addresses than there are places, each with one request that stays."""
    async with AsyncExitStack() as stack:
        places = make(16)
        got = [await how_many(stack, places, f"address:192.0.2.{number}") for number in range(40)]
        assert sum(got) == 12
        assert await how_many(stack, places, "account:1") == 2
        assert await how_many(stack, places, "account:2") == 1


async def test_callers_who_are_not_signed_in_never_fill_the_queue() -> None:
    """Attack: the crawler's waiting requests would turn everybody else away."""
    places = make(4, queue_seconds=20, max_waiting=10)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number in range(3):
            await stack.enter_async_context(held(places, f"address:{number}"))

        async def crawl(number: int) -> None:
            async with held(places, f"address:1{number}"):
                pass

        waiting = [group.create_task(crawl(number)) for number in range(5)]
        while places.waiting < 5:
            await asyncio.sleep(0)
        with pytest.raises(GitBusy, match="too many"):
            await stack.enter_async_context(held(places, "address:99"))
        async with held(places, "account:1"):
            assert places.waiting == 5, "the place that is kept was free all the time"
        for task in waiting:
            task.cancel()


async def test_the_kept_places_come_back_when_callers_leave() -> None:
    places = make(8)
    for _ in range(3):
        async with AsyncExitStack() as stack:
            assert sum([await how_many(stack, places, f"address:{number}") for number in range(9)]) == 6
