"""Counting alone and together: two programs over a real Redis, and what happens when it goes away."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.services.fixtures import started
from tests.services.redis import RedisServer, redis_server

from cairn.web.counters import SLICES, Counters, Rule, Shape

SECONDS = 20
BUCKET = Rule("bucket", 10, 600)
WINDOW = Rule("window", 10, 600, Shape.WINDOW)
RULES = pytest.mark.parametrize("rule", [BUCKET, WINDOW], ids=["bucket", "window"])


async def until(is_so: Callable[[], bool]) -> None:
    """Return when something holds, within a bounded time."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


@pytest.fixture
async def pair(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Counters, Counters]]:
    """Two programs that share their counters, and wait for a Redis that a busy machine keeps from answering."""
    monkeypatch.setattr("cairn.web.counters._REDIS_SECONDS", SECONDS)
    here, there = Counters(), Counters()
    async with here.sharing(redis_url), there.sharing(redis_url):
        yield here, there


@RULES
def test_the_limit_is_what_the_rule_says(rule: Rule) -> None:
    counters = Counters(clock=lambda: 1000.0)
    taken = [counters.take(rule, "ada").wait_seconds == 0 for _ in range(15)]
    assert taken == [True] * 10 + [False] * 5
    assert counters.look(rule, "ada").used == 10
    assert counters.take(rule, "bob").wait_seconds == 0


def test_no_clock_that_can_be_set_is_used() -> None:
    """A node's clock that is set back an hour would refuse every caller for an hour."""
    assert inspect.signature(Counters).parameters["clock"].default is time.monotonic


@given(
    shape=st.sampled_from(Shape),
    limit=st.integers(1, 40),
    steps=st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=150),
)
def test_whoever_waits_as_told_is_let_in_and_no_minute_holds_more_than_it_may(
    shape: Shape, limit: int, steps: list[float]
) -> None:
    now = [1_000_000.0]
    rule = Rule("any", limit, 60, shape)
    counters = Counters(clock=lambda: now[0])
    let_in: list[float] = []
    for step in steps:
        now[0] += step
        wait = counters.take(rule, "x").wait_seconds
        assert wait <= 60 + 1e-6
        if wait:
            now[0] += wait + 1e-3
            assert counters.take(rule, "x").wait_seconds == 0
        let_in.append(now[0])
    seconds, most = (60, 2 * limit) if shape is Shape.BUCKET else (60 * (1 - 1 / SLICES), limit)
    for start in let_in:
        assert sum(start <= moment < start + seconds - 1e-3 for moment in let_in) <= most


def test_a_bucket_gives_back_one_at_a_time_and_a_window_what_is_old() -> None:
    now = [0.0]
    counters = Counters(clock=lambda: now[0])
    for rule in (BUCKET, WINDOW):
        for _ in range(10):
            counters.take(rule, "x")
    now[0] = 60.5
    assert (counters.look(BUCKET, "x").used, counters.look(WINDOW, "x").used) == (9, 10)
    now[0] = 601.0
    assert (counters.look(BUCKET, "x").used, counters.look(WINDOW, "x").used) == (0, 0)


def test_memory_is_bounded_and_the_quietest_is_forgotten() -> None:
    counters = Counters(keys_max=3)
    for key in ("a", "b", "c", "a", "d"):
        counters.take(BUCKET, key)
    assert [counters.look(BUCKET, key).used for key in "abcd"] == [2, 0, 1, 1]


@RULES
async def test_two_programs_share_what_was_used(rule: Rule, pair: tuple[Counters, Counters]) -> None:
    here, there = pair
    for _ in range(6):
        here.take(rule, "ada")
    there.take(rule, "ada")

    def used(counters: Counters) -> int:
        counters.add(rule, "ada", 0)  # who asks hears what the others used
        return counters.look(rule, "ada").used

    for counters in pair:
        await until(lambda counters=counters: used(counters) == 7)  # type: ignore[misc]
    while here.take(rule, "ada").wait_seconds == 0:
        pass
    await until(lambda: used(there) == 10)
    assert there.take(rule, "ada").wait_seconds > 0


@RULES
async def test_where_it_must_be_exact_two_programs_together_let_in_no_more_than_the_limit(
    rule: Rule, pair: tuple[Counters, Counters]
) -> None:
    """Attack: guess through all nodes at once, before they have told each other."""
    usages = await asyncio.gather(*(counters.take_exactly(rule, "victim") for _ in range(20) for counters in pair))
    assert sum(usage.wait_seconds == 0 for usage in usages) == 10
    refused = next(usage for usage in usages if usage.wait_seconds)
    assert 0 < refused.wait_seconds <= 610


@RULES
async def test_what_is_given_back_or_cleared_comes_back_everywhere(rule: Rule, pair: tuple[Counters, Counters]) -> None:
    here, there = pair
    for _ in range(10):
        assert (await here.take_exactly(rule, "ada")).wait_seconds == 0
    assert (await there.take_exactly(rule, "ada")).wait_seconds > 0
    here.clear(rule, "ada")
    deadline = time.monotonic() + SECONDS
    while (await there.take_exactly(rule, "ada")).wait_seconds:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that a test may stop."""
    yield from started(redis_server)


@RULES
async def test_redis_gone_in_the_middle_is_no_way_round_and_in_nobodys_way(rule: Rule, own_redis: RedisServer) -> None:
    async with AsyncExitStack() as stack:
        here, there = Counters(), Counters()
        for counters in (here, there):
            await stack.enter_async_context(counters.sharing(own_redis.url))
        for _ in range(6):
            assert (await here.take_exactly(rule, "ada")).wait_seconds == 0
        await asyncio.to_thread(own_redis.process.kill)
        # This process goes on with what it knew: four are left, at once and without an error.
        async with asyncio.timeout(SECONDS):
            taken = [(await here.take_exactly(rule, "ada")).wait_seconds == 0 for _ in range(8)]
            assert taken == [True] * 4 + [False] * 4
            assert (await there.take_exactly(rule, "bob")).wait_seconds == 0
        await asyncio.to_thread(own_redis.process.start)
        # Back and empty: what was used meanwhile is told, and both count together again.
        deadline = time.monotonic() + SECONDS
        while (await there.take_exactly(rule, "ada")).wait_seconds == 0:
            assert time.monotonic() < deadline, "the programs never counted together again"
            await asyncio.sleep(0.05)


async def test_redis_away_from_the_start_is_no_error() -> None:
    counters = Counters()
    async with counters.sharing("redis://127.0.0.1:1/0"):
        assert (await counters.take_exactly(BUCKET, "ada")).wait_seconds == 0
        assert counters.take(BUCKET, "ada").wait_seconds == 0
    assert counters.look(BUCKET, "ada").used == 2
